//go:build !js

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/keyio"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

// exportResult is what was exported, or the file that it was written to.
type exportResult struct {
	identityResult
	Shared   string `json:"shared,omitempty"`             // a shared keyset was exported
	To       string `json:"to,omitempty"`                 // the peer that it was sealed to
	File     string `json:"file,omitempty"`               // where it was written
	Identity string `json:"identity,omitempty"`           // base64
	Sealed   string `json:"sealed,omitempty"`             // base64
	Tink     string `json:"tink_public,omitempty"`        // a Tink keyset, itself JSON
	Backup   string `json:"insecure_cleartext,omitempty"` // the text of a cleartext backup
}

func (r exportResult) text(w io.Writer) {
	if r.File != "" {
		fmt.Fprintf(w, "wrote %s\n", shown(r.File))
		return
	}
	for _, s := range []string{r.Identity, r.Sealed, r.Tink} {
		if s != "" {
			fmt.Fprintln(w, s)
		}
	}
	fmt.Fprint(w, r.Backup)
}

func keyExport(ctx context.Context, c *call) error {
	c.storeFlag()
	out := c.String("o", "", "the new `file` to write to; \"-\" is standard output, as without -o")
	raw := c.Bool("raw", false, "write the bytes themselves to the file or to \"-\", not base64")
	shared := c.String("shared", "", "export the shared keyset of this `name`, sealed to the peer that -to names")
	to := c.String("to", "", "the `file` with the public identity of the peer that shall have the shared keyset")
	fingerprint := c.String("fingerprint", "", "the peer's `fingerprint`, instead of typing it")
	tink := c.String("tink-public", "", "export the public halves of the `signing` or sealing keys as a Tink keyset in JSON")
	cleartext := c.Bool("insecure-cleartext", false, "export everything, secret keys and all, NOT ENCRYPTED")
	if err := c.parse(0, 0); err != nil {
		return err
	}
	switch {
	case (*shared == "") != (*to == ""):
		return c.wrong("-shared and -to go together: which keyset, to whom")
	case *cleartext && *shared != "":
		return c.wrong("-insecure-cleartext exports everything: leave -shared out")
	case *tink != "" && (*shared != "" || *cleartext):
		return c.wrong("-tink-public, -shared and -insecure-cleartext are different exports: give one")
	case *tink != "" && *tink != keys.UseSigning.String() && *tink != keys.UseSealing.String():
		return c.wrong(fmt.Sprintf("-tink-public is signing or sealing, not %q", *tink))
	case *raw && (*out == "" || *cleartext || *tink != ""):
		return c.wrong("-raw goes with -o, and not with -insecure-cleartext or -tink-public")
	}
	s, err := c.read(ctx)
	if err != nil {
		return err
	}
	r := exportResult{identityResult: describe(s.Identity().Public())}
	var content []byte
	switch {
	case *shared != "":
		content, err = c.exportShared(ctx, s, *shared, *to, *fingerprint, &r)
	case *tink != "":
		r.Tink, err = exportTink(s, *tink)
	case *cleartext:
		r.Backup, err = exportBackup(s)
	default:
		content = s.Identity().Public().Bytes()
		r.Identity = encodeText(content)
	}
	if err != nil {
		return err
	}
	return c.deliver(r, *out, *raw, content)
}

// deliver writes what was exported to the file, or prints it.
func (c *call) deliver(r exportResult, file string, raw bool, content []byte) error {
	if file == "-" && raw {
		_, err := c.stdout.Write(content)
		return err
	}
	if file == "" || file == "-" {
		return c.print(r)
	}
	if !raw {
		var text bytes.Buffer
		r.text(&text)
		content = text.Bytes()
	}
	if err := writeNew(file, content); err != nil {
		return err
	}
	r.File, r.Identity, r.Sealed, r.Tink, r.Backup = file, "", "", "", ""
	return c.print(r)
}

func exportTink(s *keystore.Replica, use string) (string, error) {
	set, err := keyio.ExportIdentity(s.Identity(), refOf(use, "").Use)
	if err != nil {
		return "", err
	}
	b, err := set.Public(keyio.TinkJSON)
	return string(b), err
}

func exportBackup(s *keystore.Replica) (string, error) {
	b, err := s.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		return "", err
	}
	return backupText(b), nil
}

// A shared keyset is handed over sealed to its next holder and signed by the one who exports it.
const sharedContentType = "application/x-hopseal-shared-keyset"

func sharedContext(name string) string { return "hopseal key export shared " + name }

func (c *call) exportShared(ctx context.Context, s *keystore.Replica, name, to, fingerprint string, r *exportResult) ([]byte, error) {
	if err := hasShared(s, name); err != nil {
		return nil, err
	}
	peer, err := c.confirmedPeer(ctx, to, fingerprint)
	if err != nil {
		return nil, err
	}
	set, _ := s.SharedKeyset(name)
	b, err := set.MarshalCleartext(insecurecleartext.Token{})
	if err != nil {
		return nil, err
	}
	sealer := envelope.Sealer{From: s.Identity(), To: []*keys.PublicIdentity{peer}, ContentType: sharedContentType, Context: sharedContext(name)}
	sealed, err := sealer.Seal(nil, b)
	if err != nil {
		return nil, err
	}
	r.Shared, r.To, r.Sealed = name, peer.Fingerprint().String(), encodeText(sealed)
	return sealed, nil
}

// confirmedPeer reads the public identity of a peer from a file. The identity is neither expired nor
// revoked, and a person or a flag has confirmed its fingerprint.
func (c *call) confirmedPeer(ctx context.Context, file, fingerprint string) (*keys.PublicIdentity, error) {
	p, err := c.readPublic(file)
	if err != nil {
		return nil, err
	}
	if err := trust.Pinned(p.Fingerprint()).Verify(ctx, trust.Expected{}, p); err != nil {
		return nil, err
	}
	about := fmt.Sprintf("%s holds an identity that calls itself %s. Its fingerprint is %s\nCompare it with what the owner says over another way.",
		shown(file), safetext.Quote(p.Name(), 200), p.Fingerprint())
	return p, c.confirm(ctx, about, p.Fingerprint(), fingerprint)
}

// sealedFor reports whether b is an exported shared keyset, and returns its name.
func sealedFor(b []byte) (name string, ok bool) {
	i, err := envelope.Inspect(b)
	if err != nil || i.Header.ContentType != sharedContentType {
		return "", false
	}
	return i.Header.Context[min(len(sharedContext("")), len(i.Header.Context)):], true
}

// openShared opens a shared keyset that the peer has exported under this name.
func openShared(id *keys.Identity, from *keys.PublicIdentity, name string, sealed []byte) (*keys.SharedKeyset, error) {
	// The store refuses an earlier export that is replayed, since it knows the later state.
	o := envelope.Opener{Identity: id, From: from, Context: sharedContext(name), InsecureAllowReplay: true}
	b, _, err := o.Open(nil, sealed)
	if err != nil {
		return nil, sealedError(err)
	}
	return keys.ParseCleartextSharedKeyset(b, insecurecleartext.Token{})
}

func sealedError(err error) error {
	advice, ok := map[envelope.Reason]string{
		envelope.ReasonMalformed: "it is damaged, cut short or something else: ask for it again",
		envelope.ReasonVersion:   "it comes from a newer hopseal: update this one",
		envelope.ReasonSuite:     "it is another kind of message: ask for what 'hopseal key export -shared' writes",
		envelope.ReasonSender:    "somebody else sealed it: check the file that -from names",
		envelope.ReasonReflected: "this store sealed it itself: it is for the peer",
		envelope.ReasonContext:   "it is the keyset of another name: give that one to -shared",
		envelope.ReasonProof:     "its signature does not verify: it was changed, or -from names an older identity: ask for both again",
		envelope.ReasonNotForUs:  "it is sealed to somebody else: ask for one that is sealed to this store's identity",
		envelope.ReasonKey:       "its key does not open: ask for it again",
		envelope.ReasonBody:      "its content does not open: ask for it again",
		envelope.ReasonRetired:   "it is sealed to a key that was archived since: ask for it again",
		envelope.ReasonUnlisted:  "the file that -from names is older than the key that signed it: ask for a new one",
		envelope.ReasonExpired:   "the file that -from names had expired when it was sealed: ask for a new one",
	}[envelope.ReasonOf(err)]
	if !ok {
		return err
	}
	return errors.New("the sealed keyset does not open: " + advice)
}
