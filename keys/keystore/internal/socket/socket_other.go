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

// Listen fails: who may open a socket can be told on Unix only.
func Listen(string) (*Socket, error) { return nil, errors.ErrUnsupported }

// Dial returns [ErrNotServed].
func Dial(context.Context, string) (net.Conn, error) { return nil, ErrNotServed }
