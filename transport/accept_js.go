package transport

import (
	"errors"
	"fmt"
)

// AcceptOptions has no use in a browser.
type AcceptOptions struct{}

// Accept always fails: a page cannot accept connections. The error matches
// errors.ErrUnsupported.
func Accept(_, _ any, _ *AcceptOptions) (Conn, error) {
	return nil, fmt.Errorf("transport: a page cannot accept connections: %w", errors.ErrUnsupported)
}
