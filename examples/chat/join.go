//go:build !js

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// join is the terminal client.
func join(ctx context.Context, args []string, std stdio) error {
	opts, err := parseJoin(args, std)
	if err != nil {
		return err
	}
	a, err := openAccount(opts.identity, opts.name, std)
	if err != nil {
		return err
	}
	defer a.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go a.identity.KeepAlive(ctx) // it counts for 30 days, and a chat may be open for longer
	l := &link{url: opts.url, room: opts.room, account: a, wait: backOff}
	first, err := l.connect(ctx)
	if err != nil {
		return err
	}
	console, err := openConsole(ctx, std)
	if err != nil {
		first.client.Close()
		return err
	}
	defer console.restore()
	c, err := newChat(a, opts.room, console)
	if err != nil {
		first.client.Close()
		return err
	}
	return c.run(ctx, l, first)
}

type joinOptions struct{ name, room, url, identity string }

func parseJoin(args []string, std stdio) (o joinOptions, err error) {
	fs := flag.NewFlagSet("chat join", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: chat join -name NAME -room ROOM [-identity FILE] URL")
		fs.PrintDefaults()
	}
	fs.StringVar(&o.name, "name", "", "`name` that others see; may be left out with an -identity that exists")
	fs.StringVar(&o.room, "room", "", "`room` to join")
	fs.StringVar(&o.identity, "identity", "", "`file` that keeps your keys, made if missing; without it they last as long as the program")
	rest, err := parseFlags(fs, args, std)
	switch {
	case err != nil:
		return o, err
	case len(rest) != 1:
		return o, usageError{errors.New("join wants one URL, the one that \"go run ./examples/chat\" prints")}
	case o.room == "" || len(o.room) > maxRoom || !utf8.ValidString(o.room):
		return o, usageError{fmt.Errorf("which room? say it with -room ROOM, at most %d bytes of UTF-8", maxRoom)}
	}
	o.url, err = relayURL(rest[0])
	return o, err
}

// relayURL turns the address of the page, or of the relay, into the relay's.
func relayURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "", usageError{errors.New("this is not a URL: it looks like http://127.0.0.1:8090")}
	}
	u.Fragment = ""
	if scheme, ok := map[string]string{"http": "ws", "https": "wss"}[u.Scheme]; ok {
		u.Scheme = scheme
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = relayPath
	}
	return u.String(), nil
}

// backOff is how long to wait before the given attempt to reconnect, from 0 on.
func backOff(attempt int) time.Duration {
	return min(time.Second<<min(attempt, 10), 15*time.Second)
}
