//go:build !hopseal_npm

package notify

import "log"

// report writes a line to the log of the process.
func report(text string) { log.Print(text) }
