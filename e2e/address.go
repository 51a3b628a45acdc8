package e2e

// Address returns what [Dial] asks the Verifier about for a URL: host, port and
// path, without scheme or query. It is the name under which [trust.KnownPeers]
// keeps the server.
func Address(url string) (string, error) { return addressOf(url) }
