//go:build !js

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// A console is where the user reads and types: a terminal with a line editor
// that keeps what is being typed apart from what arrives, or a pair of pipes.
type console struct {
	lines   <-chan string // closed at the end of the input
	restore func()        // puts the terminal back as it was

	mu  sync.Mutex // guards out
	out io.Writer
}

// openConsole starts to read lines. The reader ends with its input, which nothing
// but the other side, or the end of the process, can bring about; until then it
// holds one line that nobody takes once ctx is done.
func openConsole(ctx context.Context, std stdio) (*console, error) {
	c := &console{out: std.out, restore: func() {}}
	in, ok := std.in.(*os.File)
	out, alsoOK := std.out.(*os.File)
	if !ok || !alsoOK || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		reader := bufio.NewReader(std.in)
		c.lines = pump(ctx, func() (string, bool) {
			line, err := reader.ReadString('\n')
			return strings.TrimRight(line, "\r\n"), err == nil || line != ""
		})
		return c, nil
	}
	return c, c.edit(ctx, in, out)
}

// edit makes a line editor of the terminal. In raw mode Ctrl-C is a character,
// which the editor takes for the end of the input.
func (c *console) edit(ctx context.Context, in, out *os.File) error {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("this terminal does not work: %w; try with input and output in pipes", err)
	}
	c.restore = func() { term.Restore(int(in.Fd()), before) }
	editor := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, "> ")
	if width, height, err := term.GetSize(int(out.Fd())); err == nil {
		editor.SetSize(width, height)
	}
	c.out = editor
	c.lines = pump(ctx, func() (string, bool) {
		line, err := editor.ReadLine()
		return line, err == nil || err == term.ErrPasteIndicator
	})
	return nil
}

func pump(ctx context.Context, next func() (string, bool)) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for {
			line, ok := next()
			if !ok {
				return
			}
			select {
			case lines <- line:
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}

// say prints one line. The arguments must be safe to show.
func (c *console) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.out, format+"\n", args...)
}
