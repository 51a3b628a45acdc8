package engine

import (
	"bytes"
	"crypto/ed25519"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/keys"
)

// Vectors are read on every platform and by readers in other languages.
// HOPSEAL_WRITE_SESSION_VECTORS names a folder to write them to.
const vectorFolder = "../../docs/vectors/session"

// A vector is one case, one file. docs/vectors/README.md describes it. The keys in it
// are for tests only.
type vector struct {
	Comment string `json:"comment"`
	Kind    string `json:"kind"`   // "handshake", "resume", "refusal", "rekey", "records" or "messages"
	Expect  string `json:"expect"` // "open", or why the last frame is refused: the Reason's text

	Protocol string `json:"protocol,omitempty"`
	Proof    int    `json:"proof"`

	Client *vectorEnd `json:"client,omitempty"`
	Server *vectorEnd `json:"server,omitempty"`

	Secret  hexBytes `json:"secret,omitempty"`  // of a resume or rekey
	Session hexBytes `json:"session,omitempty"` // id, of a rekey
	Link    hexBytes `json:"link,omitempty"`    // id, of a rekey or records
	Chain   hexBytes `json:"chain,omitempty"`   // of records
	Epoch   int      `json:"epoch"`             // of records
	Number  uint64   `json:"number"`            // of the first record
	Bytes   int      `json:"bytes,omitempty"`   // of padded plaintext in its generation before it

	Received uint64 `json:"received,omitempty"` // messages that the reader of records has, of links before
	Updating bool   `json:"updating,omitempty"` // the reader of records waits for an answer to an update
	Sent     int    `json:"sent,omitempty"`     // messages that the reader of messages has sent

	Frames  []hexBytes          `json:"frames"`
	Opened  *vectorOpened       `json:"opened,omitempty"`
	Secrets map[string]hexBytes `json:"secrets,omitempty"`
	Records []vectorRecord      `json:"records,omitempty"`

	Messages []vectorMessage `json:"messages,omitempty"`
}

// A vectorEnd is one end of an exchange, with its fresh secrets.
type vectorEnd struct {
	Identity      hexBytes `json:"identity,omitempty"` // public; in a resume, as the other end knows it
	Later         hexBytes `json:"later,omitempty"`    // what it shows in a resume, if that is another
	Signing       hexBytes `json:"signing,omitempty"`  // Ed25519 seed
	X25519        hexBytes `json:"x25519,omitempty"`
	MLKEM         hexBytes `json:"mlkem,omitempty"`         // seed, a client's
	Encapsulation hexBytes `json:"encapsulation,omitempty"` // randomness, a server's
	Binding       hexBytes `json:"binding,omitempty"`       // channel binding of its TLS connection
	Protocol      string   `json:"protocol,omitempty"`      // what it speaks in a handshake, where that is not the vector's,
	Proof         *int     `json:"proof,omitempty"`         // and whether it signs messages
}

// vectorOpened is what the ends tell each other beside who they are.
type vectorOpened struct {
	Credentials    hexBytes `json:"credentials"`
	Code           byte     `json:"code"`
	Hop            byte     `json:"hop"`
	Lifetime       uint32   `json:"lifetime"`
	Attempt        *uint64  `json:"attempt,omitempty"`
	ClientReceived *uint64  `json:"clientReceived,omitempty"`
	ServerReceived *uint64  `json:"serverReceived,omitempty"`
	ClientArrived  *uint64  `json:"clientArrived,omitempty"`
	ServerArrived  *uint64  `json:"serverArrived,omitempty"`
}

// A vectorRecord is what one record says, or the records of one message.
type vectorRecord struct {
	Type    byte     `json:"type"`
	Fields  hexBytes `json:"fields"`
	Data    hexBytes `json:"data"`
	Missing uint64   `json:"missing,omitempty"` // messages that the sender of a close has numbered, and that have not come
}

// A vectorMessage is what a message says.
type vectorMessage struct {
	Kind    byte     `json:"kind"`
	Time    int64    `json:"time"` // in ms since 1970
	Type    string   `json:"type"`
	Answers uint64   `json:"answers"`
	Body    hexBytes `json:"body"`
}

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (v *vector) opens() bool { return v.Expect == "open" }

func readVector(t *testing.T, file string) *vector {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	v := new(vector)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Every vector does at this engine what it says: both ends make the frames that are in
// it, and each judges those that reach it.
func TestVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectorFolder, "*.json"))
	if err != nil || len(files) < 60 {
		t.Fatalf("%d vectors in %s: %v", len(files), vectorFolder, err)
	}
	opened, refused := 0, 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			v := readVector(t, file)
			v.check(t)
			if v.opens() {
				opened++
			} else if refused++; opened > 0 {
				t.Error("what is refused does not come before what opens")
			}
		})
	}
	if refused <= opened {
		t.Errorf("%d are refused, %d open", refused, opened)
	}
}

// Every case has its file, with what is made now, and every file its case.
func TestVectorsAreComplete(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectorFolder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	extra := map[string]bool{}
	for _, f := range files {
		extra[filepath.Base(f)] = true
	}
	for _, m := range makings() {
		file := m.name + ".json"
		delete(extra, file)
		if runtime.GOOS == "js" && strings.HasPrefix(file, "bad") {
			continue // nothing in how these are made differs there
		}
		want := must(json.Marshal(m.make()))
		if got := must(json.Marshal(readVector(t, filepath.Join(vectorFolder, file)))); !bytes.Equal(got, want) {
			t.Errorf("%s is not what is made now", file)
		}
	}
	for file := range extra {
		t.Errorf("%s is made by no case", file)
	}
}

func (v *vector) check(t *testing.T) {
	t.Helper()
	err := map[string]func(*testing.T) error{
		"handshake": v.runHandshake, "resume": v.runResume, "refusal": v.runRefusal, "rekey": v.runRekey, "records": v.runRecords, "messages": v.runMessages,
	}[v.Kind](t)
	var check *Error
	switch {
	case v.opens() && err != nil:
		t.Errorf("refused: %v (%+v)", err, err)
	case v.opens():
	case errors.As(err, &check):
		if check.Reason.String() != v.Expect {
			t.Errorf("refused for %v, want %s", check.Reason, v.Expect)
		}
	case err == nil || err.Error() != v.Expect:
		t.Errorf("got %v, want %s", err, v.Expect)
	}
}

// config is that of one end.
func (v *vector) config(e *vectorEnd) Config {
	speech := v.speech(e)
	cfg := Config{Protocol: speech.Protocol, Proof: speech.Proof, KeepAlive: -1, random: e.random()}
	if e.Identity != nil {
		cfg.Identity = must(keys.ParsePublic(e.Identity))
	}
	return cfg
}

// speech is what an end speaks.
func (v *vector) speech(e *vectorEnd) Speech {
	s := Speech{v.Protocol, Proof(v.Proof)}
	if e.Protocol != "" {
		s.Protocol = e.Protocol
	}
	if e.Proof != nil {
		s.Proof = Proof(*e.Proof)
	}
	return s
}

func (e *vectorEnd) random() random {
	return random{
		ephemeral: bytes.NewReader(e.X25519),
		generate:  func() (*mlkem.DecapsulationKey768, error) { return mlkem.NewDecapsulationKey768(e.MLKEM) },
		encapsulate: func(ek *mlkem.EncapsulationKey768) (shared, ct []byte) {
			shared, ct, err := mlkemtest.Encapsulate768(ek, e.Encapsulation)
			if err != nil {
				panic(err)
			}
			return shared, ct
		},
	}
}

// now is the end with the identity that it shows.
func (e *vectorEnd) now() *vectorEnd {
	end := *e
	if e.Later != nil {
		end.Identity = e.Later
	}
	return &end
}

func (e *vectorEnd) sign(message []byte) []byte {
	return ed25519.Sign(ed25519.NewKeyFromSeed(e.Signing), message)
}

// pass hands the frames to the ends in turn. What an end makes must be the next frame,
// unless that is the one to be refused.
func (v *vector) pass(t *testing.T, client, server func(frame []byte) (answer []byte, _ error), first []byte) error {
	t.Helper()
	made := first
	for i, frame := range v.Frames {
		forged := !v.opens() && i == len(v.Frames)-1
		if !forged && !bytes.Equal(made, frame) {
			t.Fatalf("frame %d is made as\n%x, want\n%x", i+1, made, frame)
		}
		receive := server
		if i%2 == 1 {
			receive = client
		}
		var err error
		if made, err = receive(frame); err != nil {
			return err
		}
	}
	return nil
}

func (v *vector) wantSecret(t *testing.T, name string, got []byte) {
	t.Helper()
	if want, ok := v.Secrets[name]; !ok || !bytes.Equal(got, want) {
		t.Errorf("%s is %x, want %x", name, got, []byte(want))
	}
}
