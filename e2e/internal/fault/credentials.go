package fault

import "errors"

// ErrLapsedThere is the cause of an error when a server says, by its own clock, that the
// statement it was shown is out of its time.
var ErrLapsedThere = errors.New("the server says that its statement has expired, is from the future, or is not its latest: " +
	"renew it with 'hopseal key rotate' or Identity.Renew, have Store.Run keep it alive, and check both clocks")

// Errors of credentials.
var (
	ErrCredentials               = errors.New("the credentials are not accepted, or not any more")
	ErrCredentialsExpired  error = staleError{} // matches ErrCredentials
	ErrCredentialsTooLarge       = errors.New("credentials of more than 4096 bytes")
)

// staleError is the type of ErrCredentialsExpired.
type staleError struct{}

func (staleError) Error() string {
	return "the credentials have expired, or are not valid yet: show others, and check both clocks"
}

func (staleError) Unwrap() error { return ErrCredentials }
