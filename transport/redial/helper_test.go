package redial

import (
	"context"
	"time"

	"github.com/hopseal/hopseal/transport"
)

// lost is how a connection ends that broke without a word.
func lost(cause error) *transport.CloseError {
	return &transport.CloseError{Code: transport.CodeAbnormal, Remote: true, Err: cause}
}

// gaveUp is how a connection ends when a caller's context did.
func gaveUp(cause error) *transport.CloseError {
	return &transport.CloseError{Code: transport.CodeAbnormal, Err: cause}
}

// malformed returns the error of a dial that no other dial will cure.
func malformed() error {
	_, err := transport.Dial(context.Background(), "gopher://service.example", nil)
	return err
}

// late returns the error of a dial that took too long.
func late() error {
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	return dialIn(ctx)
}

func dialIn(ctx context.Context) error {
	_, err := transport.Dial(ctx, "ws://127.0.0.1:9", &transport.DialOptions{Policy: transport.Development})
	return err
}
