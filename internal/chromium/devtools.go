//go:build !js

package chromium

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// A devtools speaks the DevTools protocol with a browser: messages of JSON, each ended by a
// zero byte. https://chromedevtools.github.io/devtools-protocol/
type devtools struct {
	to io.WriteCloser

	mu       sync.Mutex // guards what follows, and writing
	last     int        // number of the last call
	calls    map[int]chan<- message
	handlers map[string]func(message) // of the events of a session, by its name
	err      error                    // why the browser says no more

	ended chan struct{} // closed when err is set
}

// A message is a call, its answer or an event.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"` // of a page; none: the browser's own
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// params are named parameters of a call.
type params map[string]any

func newDevtools(to io.WriteCloser, from io.Reader) *devtools {
	d := &devtools{to: to, calls: map[int]chan<- message{}, handlers: map[string]func(message){}, ended: make(chan struct{})}
	go d.read(from)
	return d
}

// handle has the events of a session given to f, in order. f must not wait.
func (d *devtools) handle(session string, f func(message)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.handlers[session] = f
}

func (d *devtools) read(from io.Reader) {
	r := bufio.NewReaderSize(from, 1<<16)
	for {
		text, err := r.ReadBytes(0)
		var m message
		if err == nil {
			err = json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m)
		}
		if err != nil {
			d.end(err)
			return
		}
		d.take(m)
	}
}

func (d *devtools) take(m message) {
	d.mu.Lock()
	answer, event := d.calls[m.ID], d.handlers[m.Session]
	delete(d.calls, m.ID)
	d.mu.Unlock()
	if answer != nil {
		answer <- m
	} else if m.Method != "" && event != nil {
		event(m)
	}
}

func (d *devtools) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = fmt.Errorf("the browser has ended: %w", err)
	close(d.ended)
}

// call calls a method and reads its result, unless that is nil.
func (d *devtools) call(ctx context.Context, session, method string, p params, result any) error {
	answer, err := d.send(session, method, p)
	if err != nil {
		return err
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(m.Result, result)
	case <-d.ended:
		return d.err
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

func (d *devtools) send(session, method string, p params) (<-chan message, error) {
	encoded, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	text, err := json.Marshal(message{ID: d.last, Session: session, Method: method, Params: encoded})
	if err != nil {
		return nil, err
	}
	answer := make(chan message, 1)
	d.calls[d.last] = answer
	if _, err := d.to.Write(append(text, 0)); err != nil {
		return nil, cmp.Or(d.err, err)
	}
	return answer, nil
}

// evaluated is the result of Runtime.evaluate.
type evaluated struct {
	Result    remoteObject
	Exception *exception `json:"exceptionDetails"`
}

// evaluate evaluates JavaScript, waits for a promise that it gives, and returns the value.
func (d *devtools) evaluate(ctx context.Context, session, script string) (json.RawMessage, error) {
	var e evaluated
	err := d.call(ctx, session, "Runtime.evaluate", params{"expression": script, "awaitPromise": true, "returnByValue": true}, &e)
	if err == nil && e.Exception != nil {
		err = errors.New(e.Exception.String())
	}
	return e.Result.Value, err
}
