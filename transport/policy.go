package transport

// A Policy says what may cross a link that TLS does not protect. The zero value is
// [Production].
type Policy int

const (
	// Production allows ws:// only for what is sealed above it, which the options say with Sealed.
	// It never sends a bearer token, a cookie or a password over ws://, to nobody and through no
	// proxy.
	Production Policy = iota

	// Development allows everything over ws:// if both ends are on this machine, by a loopback
	// address or the name localhost. For other machines it is Production.
	Development
)

// String returns the policy's name.
func (p Policy) String() string {
	switch p {
	case Production:
		return "production"
	case Development:
		return "development"
	}
	return "unknown"
}
