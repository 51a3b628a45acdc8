package e2e_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/internal/signing"
	"github.com/hopseal/hopseal/internal/engine"
	"github.com/hopseal/hopseal/keys"
)

// A messagesVector is messages of one end, see docs/vectors/README.md.
type messagesVector struct {
	Expect         string
	Proof          int
	Client, Server *struct{ Identity string }
	Session        string
	Number         uint64
	Sent           int
	Frames         []string
	Messages       []struct {
		Kind byte
		Type string
		Time int64
		Body string
	}
}

func (v *messagesVector) frames(t testing.TB) (all [][]byte) {
	t.Helper()
	for _, frame := range v.Frames {
		all = append(all, unhex(t, frame))
	}
	return all
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// eachMessagesVector calls f with each.
func eachMessagesVector(t *testing.T, f func(t *testing.T, v *messagesVector)) {
	files, err := filepath.Glob("../docs/vectors/session/*-messages-*.json")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		v := new(messagesVector)
		if err == nil {
			err = json.Unmarshal(b, v)
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) { f(t, v) })
	}
}

// A session takes the messages of vectors that open, and what opens not ends it: as the
// last of them, not before.
func TestMessagesVectors(t *testing.T) {
	eachMessagesVector(t, func(t *testing.T, v *messagesVector) {
		if v.Proof == 0 {
			bubble(t, v.run)
		}
	})
}

// run has an end send the messages as they are.
func (v *messagesVector) run(t *testing.T) {
	reader, sender := over(t)
	for range v.Sent {
		sendTyped(t, reader, "anything", "")
	}
	frames := v.frames(t)
	last := frames[len(frames)-1]
	if v.Expect != "open" {
		frames = frames[:len(frames)-1]
	}
	done := make(chan struct{})
	go func() { // it takes what the reader sends, and says nothing to that
		defer close(done)
		for err := error(nil); err == nil; {
			_, err = sender.ReceiveMessage(context.Background())
		}
	}()
	for _, frame := range frames {
		v.send(t, sender, frame)
	}
	sendTyped(t, sender, "still here", "")
	for {
		m, err := reader.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatalf("refused before the last: %v", err)
		}
		if m.Type == "still here" {
			break
		}
	}
	if v.Expect != "open" {
		v.send(t, sender, last)
		_, err := reader.ReceiveMessage(t.Context())
		var closed *e2e.CloseError
		if !errors.As(err, &closed) || !closed.Remote || !errors.Is(err, e2e.ErrMisbehaved) {
			t.Errorf("the last one ends the session with %v", err)
		}
	}
	reader.Close()
	<-done
}

func (v *messagesVector) send(t *testing.T, by *e2e.Session, frame []byte) {
	t.Helper()
	if err := e2e.SendRaw(by, frame); err != nil {
		t.Fatal(err)
	}
}

// What a signed message of a vector proves is what it says; one with a bad signature
// proves nothing.
func TestSignedMessagesVectors(t *testing.T) {
	eachMessagesVector(t, func(t *testing.T, v *messagesVector) {
		if v.Proof == 0 {
			return
		}
		by, role := v.Server, byte(0)
		if v.Client != nil {
			by, role = v.Client, 1
		}
		identity, err := keys.ParsePublic(unhex(t, by.Identity))
		if err != nil {
			t.Fatal(err)
		}
		for i, frame := range v.frames(t) {
			h, size, err := engine.ParseHeader(frame, "")
			if err != nil {
				t.Fatal(err)
			}
			if h.Kind == engine.KindRefusal {
				continue
			}
			place := binary.BigEndian.AppendUint64([]byte{role}, v.Number+uint64(i))
			rest := frame[size:]
			signature, body := rest[:min(len(rest), 96)], rest[min(len(rest), 96):]
			m, err := e2e.VerifyProof(identity, slices.Concat([]byte{1}, unhex(t, v.Session), place, signature, frame[:size]), body)
			if v.Expect != "open" && i == len(v.Frames)-1 {
				if err != signing.ErrProof {
					t.Errorf("message %d proves %+v, %v", i, m, err)
				}
				continue
			}
			want := v.Messages[i]
			if err != nil || m.Type != want.Type || m.Time.UnixMilli() != want.Time || !bytes.Equal(m.Data, unhex(t, want.Body)) {
				t.Errorf("message %d: %+v, %v", i, m, err)
			}
		}
	})
}
