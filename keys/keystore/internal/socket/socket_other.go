//go:build !unix

package socket

import (
	"context"
	"errors"
	"net"
)

// Works says whether there can be a socket here.
const Works = false

// Path returns the path of the socket of a store.
func Path(store string) string { return store + ".sock" }

// Listen fails: only on Unix can a program tell who may open a socket.
func Listen(string) (*Socket, error) { return nil, errors.ErrUnsupported }

// Dial returns [ErrNotServed].
func Dial(context.Context, string) (net.Conn, error) { return nil, ErrNotServed }
