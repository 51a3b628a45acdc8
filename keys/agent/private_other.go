//go:build !unix

package agent

import "errors"

// checkDirectory returns an error: only on Unix can a program tell who may open a socket.
func checkDirectory(path string) error {
	return agentError(path, errors.ErrUnsupported, "use a Unix system")
}
func checkSocket(path string) error { return checkDirectory(path) }
