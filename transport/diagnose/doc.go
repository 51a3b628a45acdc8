// Package diagnose finds out which hop on the path to a WebSocket server breaks the
// connection, and why. A client runs the diagnosis, and a server answers it:
//
//	report := diagnose.Run(ctx, "wss://chat.example.com/diagnose", nil)
//	mux.Handle("/diagnose", diagnose.Handler(opts))
//
// [Run] follows the path step by step and returns a [Report], which the command hopseal
// doctor prints. It also works without [Handler], but only a server that serves it lets
// the report say whether a hop terminates TLS.
package diagnose
