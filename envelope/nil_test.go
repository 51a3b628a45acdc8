package envelope

import (
	"bytes"
	"io"
	"testing"

	"github.com/hopseal/hopseal/internal/nilargs"
	"github.com/hopseal/hopseal/keys"
)

// TestNothingPanicsOnNil gives every function and method nil for each argument.
func TestNothingPanicsOnNil(t *testing.T) {
	alice, bob := identity(t, "alice"), identity(t, "bob")
	s := &Sealer{From: alice, To: []*keys.PublicIdentity{bob.Public()}}
	o := &Opener{Identity: bob, From: alice.Public(), InsecureAllowReplay: true}
	v := &Verifier{From: alice.Public()}
	stream := new(bytes.Buffer)
	w, err := s.NewWriter(stream)
	if err == nil {
		err = w.Finish()
	}
	if err != nil {
		t.Fatal(err)
	}
	source := func() io.Reader { return bytes.NewReader(stream.Bytes()) }
	nilargs.Table{
		Calls: map[string]any{
			"InspectStream":       InspectStream,
			"Sealer.RewrapStream": (*Sealer).RewrapStream, "Sealer.NewWriter": (*Sealer).NewWriter,
			"Opener.NewReaderAt": func(o *Opener, src io.ReaderAt) error {
				_, err := o.NewReaderAt(src, int64(stream.Len()))
				return err
			},
			"Opener.NewReader": (*Opener).NewReader, "Verifier.VerifyStream": (*Verifier).VerifyStream,
			"UnverifiedReader.WriteTo": func(_ *UnverifiedReader, dst io.Writer) error {
				r, err := o.NewReader(source())
				if err != nil {
					return err
				}
				_, err = r.WriteTo(dst)
				return err
			},
			"Writer.ReadFrom": func(_ *Writer, src io.Reader) error {
				w, err := s.NewWriter(io.Discard)
				if err != nil {
					return err
				}
				defer w.Abort()
				_, err = w.ReadFrom(src)
				return err
			},
			"SealValue": func(s *Sealer) error { _, err := SealValue(s, nil, 1); return err },
			"OpenValue": func(o *Opener) error { _, _, err := OpenValue[int](o, stream.Bytes()); return err },
		},
		Values: []any{
			func() *Sealer { return s }, func() *Opener { return o }, func() *Verifier { return v },
			func() *Writer { return nil }, func() *UnverifiedReader { return nil },
			source, func() io.ReaderAt { return bytes.NewReader(stream.Bytes()) },
			func() io.Writer { return io.Discard },
		},
	}.Check(t)
	for name, s := range map[string]*Sealer{
		"nobody": {From: alice, To: []*keys.PublicIdentity{nil}}, "empty": {From: alice, To: []*keys.PublicIdentity{new(keys.PublicIdentity)}},
		"nothing": {},
	} {
		if _, err := s.Seal(nil, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, o := range map[string]*Opener{"nothing": {}, "sender": {Identity: bob, From: new(keys.PublicIdentity), InsecureAllowReplay: true}} {
		if _, _, err := o.Open(nil, []byte("x")); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
