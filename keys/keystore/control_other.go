//go:build !unix

package keystore

import (
	"context"
	"errors"
	"net"
)

const inUseAdvice = "stop it for the change: it takes no requests on this system"

func socketBeside(store string) string { return store + ".sock" }

// Who may open a socket can be told on Unix only.
func listenBeside(store string) (*controlSocket, error) {
	return nil, unservable(store, errors.ErrUnsupported)
}

func dialBeside(context.Context, string) (net.Conn, error) { return nil, ErrNotServed }
