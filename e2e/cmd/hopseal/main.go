//go:build !js

// Hopseal is the command for those who run services on Hopseal. It makes, shows,
// rotates, backs up and withdraws keys, shows what a hop sees of a message, and finds
// out which hop is in the way:
//
//	hopseal key new -store billing.store -name billing
//	hopseal key show
//	hopseal inspect -hex message
//	hopseal doctor wss://app.example.com/socket
//	hopseal trace wss://app.example.com/socket
//
// docs/keys.md, docs/inspect.md and docs/troubleshooting.md are its guides. It exits with 0 on success,
// 1 on a failure and 2 for flags or arguments that it does not know. It exits with 3 if a running service
// was asked and has not answered, so that the change may have been made. 'hopseal key show
// -expires-within' exits with 4 if the answer is yes. A failure is one line on standard error that says
// what to do next.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys/keystore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the commands print all there is to say
	os.Exit(run(ctx, operatingSystem(), os.Args[1:]))
}

var root = command{name: "hopseal", summary: "Keys and tools for services on Hopseal.", group: []command{keyCommands, inspectCommand, doctorCommand, traceCommand}}

const exitFailure, exitUsage, exitUnknown, exitExpires = 1, 2, 3, 4

// run runs one call of the command and returns its exit code.
func run(ctx context.Context, sys system, args []string) int {
	err := root.dispatch(ctx, sys, "", args)
	if err == nil {
		return 0
	}
	fmt.Fprintln(sys.stderr, "hopseal:", safetext.Line(explain(err), maxErrorText))
	if _, wrong := errors.AsType[usageError](err); wrong {
		return exitUsage
	}
	if errors.Is(err, keystore.ErrNoAnswer) {
		return exitUnknown
	}
	if _, yes := errors.AsType[expiresSoonError](err); yes {
		return exitExpires
	}
	return exitFailure
}

var keyCommands = command{name: "key", args: "COMMAND", summary: "make, show, rotate, back up and withdraw keys", group: []command{
	{name: "new", summary: "make an identity in a new store, or a shared keyset in a store", run: keyNew},
	{name: "show", args: "[FILE]", summary: "show a store's identity, keys and known peers, or a public identity", run: keyShow},
	{name: "rotate", summary: "take the steps that are due, or change a key now", run: keyRotate},
	{name: "renew", summary: "sign a new statement of the identity now", run: keyRenew},
	{name: "promote", args: "KEY", summary: "make a pending key the primary", run: keyStep(writer.Promote)},
	{name: "disable", args: "KEY", summary: "archive a key: it opens stored messages only", run: keyStep(writer.Disable)},
	{name: "destroy", args: "KEY", summary: "remove an archived key for good", run: keyStep(writer.Destroy)},
	{name: "revoke", summary: "withdraw the identity for good, or prepare to", run: keyRevoke},
	{name: "succeed", args: "NEXT-STORE", summary: "name the identity of another store as the successor", run: keySucceed},
	{name: "export", summary: "write the public identity, or a shared keyset for a peer", run: keyExport},
	{name: "import", args: "FILE", summary: "admit a peer, or take over what was exported", run: keyImport},
	{name: "forget", args: "FINGERPRINT", summary: "take the admission of a peer back", run: keyForget},
	{name: "fingerprint", args: "[FILE]", summary: "show the fingerprint of a store or of a public identity", run: keyFingerprint},
	{name: "safety-number", args: "PEER", summary: "show the number that two people compare", run: keySafetyNumber},
}}
