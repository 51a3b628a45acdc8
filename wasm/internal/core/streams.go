package core

import (
	"context"
	"errors"
	"io"

	"github.com/hopseal/hopseal/e2e"
)

// The context of a stream is for its life, that of an operation only until it is done. So a stream
// gets a context of its own, which the operation's end cancels only while the stream is being opened.
func ownContext(opening context.Context) (ctx context.Context, opened func() bool, cancel func()) {
	ctx, stop := context.WithCancel(context.Background())
	return ctx, context.AfterFunc(opening, stop), stop
}

type writer struct {
	*e2e.StreamWriter
	cancel func()
	writes queue // in the order of the calls
}

// streamOpen: session handle, key of who is told of progress number or 0, type text, data bytes →
// writer handle. Progress is an event: "progress" text, bytes that have arrived serial.
func (c *Core) streamOpen(r *request) (job, error) {
	s, key, typ := required[*session](r), r.uint32(), r.text()
	options := &e2e.StreamOptions{Data: r.clone()}
	if err := r.done(); err != nil {
		return nil, err
	}
	if key != 0 {
		options.Progress = func(arrived int64) {
			c.office.tell(noticeEvent, key, appendUint64(appendText(nil, "progress"), uint64(arrived)))
		}
	}
	return func(opening context.Context) ([]byte, error) {
		ctx, opened, cancel := ownContext(opening)
		w, err := s.OpenStream(ctx, typ, options)
		if err != nil || !opened() {
			cancel()
			return nil, errors.Join(err, opening.Err())
		}
		return c.objects.appendHandle(nil, &writer{w, cancel, queue{office: &c.office}})
	}, nil
}

// streamWrite: writer handle, bytes → nothing, once the session has taken them.
func (c *Core) streamWrite(r *request) (*queue, job, error) {
	w, b := required[*writer](r), r.clone()
	if err := r.done(); err != nil {
		return nil, nil, err
	}
	return &w.writes, func(context.Context) ([]byte, error) {
		defer clear(b)
		_, err := w.Write(b)
		return nil, err
	}, nil
}

// streamFinish: writer handle → nothing, once all has arrived. Then the handle is gone; until then
// streamAbort takes it.
func (c *Core) streamFinish(r *request) (*queue, job, error) {
	handle := r.rest
	w := required[*writer](r)
	if err := r.done(); err != nil {
		return nil, nil, err
	}
	id := getHandle(handle)
	return &w.writes, func(context.Context) ([]byte, error) {
		defer c.objects.remove(id)
		defer w.cancel()
		return nil, w.Finish()
	}, nil
}

// streamAbort: writer handle → nothing. The handle is gone.
func (c *Core) streamAbort(r *request) (job, error) {
	w := taken[*writer](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return func(context.Context) ([]byte, error) {
		w.Abort()
		w.cancel()
		return nil, nil
	}, nil
}

type reader struct {
	*e2e.StreamReader
	cancel func()
}

// streamReceive: session handle → reader handle, type text, number serial, time, data bytes.
func (c *Core) streamReceive(r *request) (job, error) {
	s := required[*session](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return func(opening context.Context) ([]byte, error) {
		ctx, opened, cancel := ownContext(opening)
		from, err := s.ReceiveStream(ctx)
		if err != nil || !opened() {
			cancel()
			return nil, errors.Join(err, opening.Err())
		}
		out, err := c.objects.appendHandle(nil, &reader{from, cancel})
		if err != nil {
			cancel()
			return nil, err
		}
		out = appendUint64(appendText(out, from.Type), from.ID)
		return appendBytes(appendTime(out, from.Time), from.Data), nil
	}, nil
}

// maxRead is how much one streamRead returns, in bytes.
const maxRead = 64 << 10

// streamRead: reader handle → bytes, none of them at the end. The handle is gone at the end, and
// after an error. JavaScript does not read before the read before has returned.
func (c *Core) streamRead(r *request) (job, error) {
	handle := r.rest
	from := required[*reader](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	id := getHandle(handle)
	return func(context.Context) ([]byte, error) {
		b := make([]byte, maxRead)
		for {
			n, err := from.Read(b)
			if n > 0 {
				defer clear(b[:n])
				return appendBytes(nil, b[:n]), nil // the error comes again
			}
			if err != nil {
				c.objects.remove(id)
				from.cancel()
			}
			switch {
			case err == io.EOF:
				return appendBytes(nil, nil), nil
			case err != nil:
				return nil, err
			}
		}
	}, nil
}

// streamClose: reader handle → nothing. The handle is gone.
func (c *Core) streamClose(r *request) (job, error) {
	from := taken[*reader](r)
	if err := r.done(); err != nil {
		return nil, err
	}
	return func(context.Context) ([]byte, error) {
		defer from.cancel()
		return nil, from.Close()
	}, nil
}
