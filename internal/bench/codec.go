package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
)

// A codec is one way to seal messages and to open them.
type codec struct {
	name string
	seal func(plaintext []byte) error // keeps what it made
	open func() ([]byte, error)       // opens that; nil where it cannot be compared
}

// roundTrip sees that the codec does what its times will be taken for.
func (c codec) roundTrip(plaintext []byte) error {
	if err := c.seal(plaintext); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	if c.open == nil {
		return nil
	}
	got, err := c.open()
	if err == nil && !bytes.Equal(got, plaintext) {
		err = errors.New("opened something else")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// compare sees that both codecs work and measures them on one message of a size.
func compare(e effort, size int, ours, theirs codec, g goal) ([]row, error) {
	plaintext := message(size)
	if err := errors.Join(ours.roundTrip(plaintext), theirs.roundTrip(plaintext)); err != nil {
		return nil, err
	}
	return both(e, plaintext, ours, theirs, g)
}

// both measures both directions, where there are two.
func both(e effort, plaintext []byte, ours, theirs codec, g goal) ([]row, error) {
	var f failed
	seal := comparison{
		a: func(int) { f.check(ours.seal(plaintext)) },
		b: func(int) { f.check(theirs.seal(plaintext)) },
	}.fit(e).run().against(g)
	size := bytesText(int64(len(plaintext)))
	seal.What, seal.Against = ours.name+", seal "+size, theirs.name
	if ours.open == nil || theirs.open == nil {
		return []row{seal}, f.err
	}
	c := comparison{
		a: func(int) { _, err := ours.open(); f.check(err) },
		b: func(int) { _, err := theirs.open(); f.check(err) },
	}
	if len(plaintext) < 1<<20 { // where a signature counts: its bits decide how long it takes to verify
		c.prepare = func() { f.check(ours.seal(plaintext)); f.check(theirs.seal(plaintext)) }
	}
	open := c.fit(e).run().against(g)
	open.What, open.Against = ours.name+", open "+size, theirs.name
	return []row{seal, open}, f.err
}

func message(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// failed keeps the first error of what is measured.
type failed struct{ err error }

func (f *failed) check(err error) {
	if f.err == nil {
		f.err = err
	}
}
