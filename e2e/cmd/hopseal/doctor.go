//go:build !js

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/hopseal/hopseal/transport/diagnose"
)

var doctorCommand = command{name: "doctor", args: "URL", summary: "walk the way to a WebSocket server, and into a session with it, and say who fails, and why", run: doctor}

// doctorResult prints a diagnose.Report for people and programs.
type doctorResult struct {
	OK bool `json:"ok"`
	*diagnose.Report
}

func (r doctorResult) text(w io.Writer) { io.WriteString(w, r.Report.String()) }

// The errors of a diagnosis that did not get to its end. The report says why.
var (
	errDiagnosed = errors.New("the way is not free: see the step that failed")
	errNoSession = errors.New("there is no session with the server: see the step that failed")
)

func doctor(ctx context.Context, c *call) error {
	var dial dialFlags
	var session sessionFlags
	dial.add(c)
	session.add(c)
	c.Var(&dial.subprotocols, "subprotocol", "offer this `name` to the server; may be repeated")
	idle := c.Duration("idle", 0, "then watch the silent connection for so long, to find hops that forget it")
	timeout := c.Duration("timeout", time.Minute, "how long all but that may take")
	file := c.String("report", "", "write a report without secrets to this `file`, to be sent to others")
	if err := c.parse(1, 1); err != nil {
		return err
	}
	client, err := session.client(ctx, c)
	if err != nil {
		return err
	}
	opts, err := dial.options(c)
	if err != nil {
		return err
	}
	defer dial.close()
	ctx, cancel := context.WithTimeout(ctx, *timeout+*idle)
	defer cancel()
	report := diagnose.Run(ctx, c.args[0], &diagnose.Options{Dial: opts, Idle: *idle})
	failure := errDiagnosed
	if client != nil && report.OK() {
		failure = errNoSession
		client.dial(ctx, c.args[0], opts, report)
	}
	nameFlags(report)
	result := doctorResult{report.OK(), report}
	if *file != "" {
		if err := writeReport(*file, c, result); err != nil {
			return err
		}
	}
	if err := c.print(result); err != nil {
		return err
	}
	if !report.OK() {
		return failure
	}
	return nil
}

// bundle is the content of a report for others. It holds no secrets.
type bundle struct {
	Hopseal string            `json:"hopseal"`
	Go      string            `json:"go"`
	System  string            `json:"system"`
	Proxies map[string]string `json:"proxies"` // from the environment, scheme and host only
	doctorResult
}

func writeReport(name string, c *call, result doctorResult) error {
	b := bundle{hopsealVersion(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, proxies(c.getenv), result}
	var text bytes.Buffer
	err := writeJSON(&text, b)
	if err == nil {
		err = writeNew(name, text.Bytes())
	}
	if err != nil {
		return fmt.Errorf("the report: %w", err)
	}
	return nil
}

func hopsealVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

// proxies shows what the environment says about proxies, without passwords.
func proxies(getenv func(string) string) map[string]string {
	found := make(map[string]string)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		value := getenv(name)
		if u, err := url.Parse(value); err == nil && u.Host != "" {
			found[name] = shown(u.Scheme + "://" + u.Host)
		} else if value != "" {
			found[name] = "is not a URL such as http://proxy.example:3128"
		}
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		if value := getenv(name); value != "" {
			found[name] = shown(value)
		}
	}
	return found
}
