package envelope

import "testing"

// There are no key files in a browser, and no stores that count messages.
func gcmTwins(testing.TB, []link) []link { return nil }

func keyFile(testing.TB) []byte                   { return nil }
func keyFileOpener(testing.TB) func([]byte) error { return nil }

// There are no stores that archive keys either.
func retiredFailures(*testing.T) []failure { return nil }
