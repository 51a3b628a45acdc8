// Package diagnose finds out which hop on the way to a WebSocket server is in the way,
// and why. [Run] walks the way step by step and returns a [Report], as the command
// hopseal doctor shows it. [Handler] is what a server offers for that, so that the report
// can say whether something on the way ends TLS.
package diagnose
