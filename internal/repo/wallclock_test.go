package repo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wallTime are the functions and methods of package time whose results tell what the wall clock
// shows, without what has passed, and Until, which may be asked about such a time.
var wallTime = []string{"Unix", "UnixNano", "UnixMilli", "UnixMicro", "Round", "Truncate", "UTC", "AddDate",
	"time.Unix", "time.UnixMilli", "time.UnixMicro", "time.Date", "time.Parse", "time.Until"}

// wallTimes are the places where that is right, and why. All else measures: a clock that is set
// moves no time-out.
var wallTimes = map[string]string{
	"e2e/internal/lobby/busy.go: Round":                 "a duration, shown",
	"e2e/cmd/hopseal/inspect.go: UTC":                   "shown",
	"e2e/cmd/hopseal/output.go: Truncate":               "shown",
	"e2e/cmd/hopseal/output.go: UTC":                    "shown",
	"e2e/cmd/hopseal/trace.go: UTC":                     "shown",
	"e2e/internal/fault/handshake.go: Round":            "a duration, shown",
	"e2e/internal/upkeep/follower.go: time.Until":       "a time that this process has measured",
	"e2e/grant.go: time.Until":                          "an end that Authenticate tells as it likes, looked at when a connection or an update begins",
	"e2e/internal/flow/limits.go: time.Until":           "a time that this process has measured",
	"e2e/prom/prom.go: Unix":                            "told to a monitor",
	"e2e/internal/flow/alarm.go: time.Until":            "a time that this process has measured",
	"e2e/internal/flow/control.go: time.Until":          "a time that this process has measured",
	"e2e/server_store.go: Round":                        "how a clock that was set is noticed",
	"e2e/sessionstore/encoding.go: UnixMilli":           "stored",
	"e2e/sessionstore/encoding.go: time.UnixMilli":      "stored",
	"e2e/sessionstore/sweep.go: time.UnixMilli":         "stored",
	"e2e/internal/lobby/strangers.go: time.Until":       "a time that this process has measured",
	"e2e/update.go: time.Until":                         "a time that this process has measured",
	"e2e/internal/vault/seal.go: UnixMilli":             "stored",
	"e2e/internal/vault/seal.go: time.UnixMilli":        "stored",
	"envelope/replay.go: Truncate":                      "compares times that senders state, and stores them",
	"envelope/replay.go: UnixMilli":                     "compares times that senders state, and stores them",
	"envelope/replay.go: time.UnixMilli":                "compares times that senders state, and stores them",
	"envelope/seal.go: UTC":                             "shown",
	"envelope/seal.go: UnixMilli":                       "on the wire: what readers would not accept is not sealed",
	"envelope/wire.go: UnixMilli":                       "on the wire, told and never measured",
	"envelope/wire.go: time.UnixMilli":                  "on the wire, told and never measured",
	"internal/chromium/console.go: time.UnixMilli":      "shown",
	"internal/hostile/slow.go: time.Until":              "a time that this process has measured",
	"internal/deadline/deadline.go: time.Until":         "a deadline as the caller of a net.Conn gives it",
	"internal/engine/header.go: UnixMilli":              "on the wire, told and never measured",
	"internal/engine/header.go: time.UnixMilli":         "on the wire, told and never measured",
	"internal/engine/record.go: Round":                  "the longer of both, since a machine may sleep: a clock that is set lets the other end do more, and nothing ends",
	"internal/engine/state.go: UnixMilli":               "stored",
	"internal/engine/state.go: time.UnixMilli":          "stored",
	"internal/lapse/lapse.go: Round":                    "how long a statement lasts, which others verify by their wall clocks",
	"keys/agent/client.go: time.Unix":                   "a time that has passed",
	"wasm/internal/core/export.go: Unix":                "stored, as a store of package keystore stores it",
	"wasm/internal/core/export.go: time.Unix":           "stands for none in what is stored",
	"keys/keystore/ages.go: time.Unix":                  "a time of the tally, which measures",
	"keys/keystore/control.go: time.Unix":               "a time that has passed",
	"keys/keystore/control_wire.go: UnixMilli":          "told, of when a key is due",
	"keys/keystore/control_wire.go: time.UnixMilli":     "told, of when a key is due",
	"keys/keystore/keyref.go: UTC":                      "shown",
	"keys/internal/ring/ring.go: Unix":                  "stored with the key",
	"keys/internal/ring/steps.go: Unix":                 "stored with the key",
	"keys/internal/unixtime/unixtime.go: UTC":           "shown",
	"keys/internal/unixtime/unixtime.go: Unix":          "in a statement: what readers would not accept is not made",
	"keys/internal/unixtime/unixtime.go: time.Unix":     "stored, or in a statement",
	"keys/issue.go: Truncate":                           "in a statement, which others verify",
	"keys/issue.go: Unix":                               "in a statement, which others verify",
	"keys/keepalive.go: time.Unix":                      "a time that has passed",
	"keys/keystore/lock_beside.go: Truncate":            "a file",
	"keys/keystore/lock_beside.go: UTC":                 "shown",
	"keys/keystore/clock.go: UTC":                       "shown",
	"keys/keystore/clock.go: Unix":                      "what keys do not age by: it is held against what is measured",
	"keys/keystore/clock.go: time.Unix":                 "shown, of a tally",
	"keys/public.go: Unix":                              "in a statement, which others verify",
	"keys/public.go: time.Unix":                         "in a statement, which others verify",
	"keys/keystore/rotate.go: time.Unix":                "a time of the tally, which measures",
	"keys/keystore/contents.go: Unix":                   "until when a statement is valid, stored",
	"keys/keystore/tally.go: time.Unix":                 "a time of the tally, which measures",
	"keys/trust/voucher.go: Unix":                       "in a statement, which others verify",
	"keys/trust/succession.go: time.Unix":               "in a statement, which others verify",
	"keys/trust/succession.go: Unix":                    "in a statement, which others verify",
	"keys/trust/authority.go: time.Unix":                "in a statement, which others verify",
	"keys/trust/authority.go: Unix":                     "in a statement, which others verify",
	"keys/keystore/run.go: UTC":                         "logged",
	"keys/keyio/import.go: Unix":                        "stored with the key",
	"transport/close_wait.go: Round":                    "a duration, shown",
	"internal/pki/pki.go: AddDate":                      "of certificates for tests",
	"internal/pki/pki.go: time.Date":                    "of certificates for tests",
	"transport/diagnose/dial.go: UTC":                   "shown, of a certificate",
	"transport/diagnose/handler.go: UnixMilli":          "told to the other end, to compare the clocks",
	"transport/diagnose/link.go: Round":                 "a duration, shown",
	"transport/diagnose/link.go: time.UnixMilli":        "told to the other end, to compare the clocks",
	"transport/dial_phase.go: time.Unix":                "a time that has passed",
	"transport/explain_cert.go: UTC":                    "shown, of a certificate",
	"transport/jwtauth/claims.go: time.Unix":            "in a token",
	"transport/lease.go: time.Until":                    "an end that Authenticate tells as it likes, looked at when it is granted, and measured then",
	"transport/prom/prom.go: Unix":                      "told to a monitor",
	"transport/proxy_probe.go: time.Unix":               "a time that has passed",
	"transport/redial/wait.go: time.Until":              "a time that this process has measured",
	"transport/redial/error.go: Round":                  "a duration, shown",
	"transport/servertls/acme/transport.go: time.Until": "Retry-After, as the authority tells it, looked at when it comes",
	"transport/servertls/acme/loop.go: time.Until":      "a time that this process has measured",
	"transport/servertls/acme/errors.go: Round":         "a duration, shown",
	"transport/servertls/acme/store.go: time.Until":     "a time that this process has measured",
	"transport/servertls/acme/events.go: Round":         "a duration, shown",
	"transport/servertls/acme/events.go: time.Until":    "told, of a certificate",
	"transport/servertls/pair.go: UTC":                  "shown, of a certificate",
	"transport/servertls/ticket.go: Unix":               "periods that several nodes count alike",
	"transport/servertls/ticket.go: time.Unix":          "periods that several nodes count alike",
	"transport/servertls/watcher.go: time.Until":        "the end of such a period",
	"wasm/internal/core/fields.go: time.UnixMilli":      "told by JavaScript: when a grant ends",
	"wasm/internal/core/fields.go: UnixMilli":           "told to JavaScript",
}

// Nobody measures by what the wall clock shows. Who needs what it shows stores it, tells it to
// others, or shows it, and stands in the list.
func TestWallTimeIsNotMeasured(t *testing.T) {
	found := map[string]bool{}
	for _, folder := range []string{"keys", "envelope", "transport", "e2e", "wasm", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			switch name, _ := filepath.Rel(root, path); {
			case err != nil:
				return err
			case d.IsDir() && (slices.Contains([]string{"internal/bench", "internal/stepclock"}, filepath.ToSlash(name)) || d.Name() == "node_modules" || d.Name() == "testdata"):
				return filepath.SkipDir
			case d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
				return nil
			default:
				return wallTimesIn(path, filepath.ToSlash(name), found)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	hold(t, found, wallTimes, "a time of the wall clock is nothing to measure by. If it is stored, told or shown, say so in wallTimes")
}

// hold holds the places that were found against those that have a reason.
func hold(t *testing.T, found map[string]bool, reasons map[string]string, advice string) {
	t.Helper()
	for _, place := range slices.Sorted(maps.Keys(found)) {
		if reasons[place] == "" {
			t.Errorf("%q: %s", place, advice)
		}
	}
	for place := range reasons {
		if !found[place] {
			t.Errorf("%q is not there any more", place)
		}
	}
}

// wallTimesIn finds places such as "keys/keystore/lock_beside.go: UTC".
func wallTimesIn(path, name string, found map[string]bool) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		called := s.Sel.Name
		if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
			called = "time." + called
		}
		if slices.Contains(wallTime, called) {
			found[name+": "+called] = true
		}
		return true
	})
	return nil
}
