//go:build !unix

package agent

import "errors"

// Who may open a socket can be told on Unix only.
func checkDirectory(path string) error {
	return agentError(path, errors.ErrUnsupported, "use a Unix system")
}
func checkSocket(path string) error { return checkDirectory(path) }
