//go:build !js

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/keystore"
	"github.com/hopseal/hopseal/keys/trust"
)

// importResult says what was imported.
type importResult struct {
	Store       string      `json:"store"`
	Imported    string      `json:"imported"` // "peer", "revocation", "succession", "shared keyset", "backup", or "forgotten"
	Fingerprint string      `json:"fingerprint"`
	Peer        *peerResult `json:"peer,omitempty"`
	Successor   string      `json:"successor,omitempty"`
	Shared      string      `json:"shared,omitempty"`
	Changed     bool        `json:"changed"` // whether the store has changed

	doneBy

	unknown bool // the store did not know the peer
}

const (
	importedPeer       = "peer"
	importedRevocation = "revocation"
	importedSuccession = "succession"
	importedShared     = "shared keyset"
	importedBackup     = "backup"
	importedForgotten  = "forgotten"
)

func (r importResult) text(w io.Writer) {
	defer r.doneBy.text(w)
	switch {
	case r.Imported == importedBackup:
		fmt.Fprintf(w, "made %s of the backup of %s\n", shown(r.Store), r.Fingerprint)
	case r.unknown:
		fmt.Fprintf(w, "noted: %s was not known to %s; it can never be admitted now\n", r.Fingerprint, shown(r.Store))
	case !r.Changed:
		fmt.Fprintf(w, "nothing changed: this is not news to %s\n", shown(r.Store))
	case r.Imported == importedPeer:
		fmt.Fprintf(w, "admitted %s %s\n", r.Fingerprint, r.Peer.at())
	case r.Imported == importedForgotten:
		fmt.Fprintf(w, "no longer admitted: %s %s\n", r.Fingerprint, r.Peer.at())
	case r.Imported == importedRevocation:
		fmt.Fprintf(w, "revoked: %s is trusted no more\n", r.Fingerprint)
	case r.Imported == importedSuccession:
		fmt.Fprintf(w, "%s takes the place of %s\n", r.Successor, r.Fingerprint)
	case r.Imported == importedShared:
		fmt.Fprintf(w, "shared keyset %s is as %s has it\n", safetext.Quote(r.Shared, 200), r.Fingerprint)
	}
}

// scopeFlags say for which address, room or clients a peer is admitted.
type scopeFlags struct {
	address, room string
	client        bool
}

func (c *call) scopeFlags() *scopeFlags {
	var w scopeFlags
	c.StringVar(&w.address, "address", "", "the `URL` at which the peer answers")
	c.StringVar(&w.room, "room", "", "the `name` of the room in which the peer is a member")
	c.BoolVar(&w.client, "client", false, "the peer is a client of this service")
	return &w
}

func (w scopeFlags) any() bool { return w != scopeFlags{} }

// expected returns what the verifier of a session or room will ask for.
func (w scopeFlags) expected(c *call) (trust.Expected, error) {
	given := 0
	for _, yes := range []bool{w.address != "", w.room != "", w.client} {
		if yes {
			given++
		}
	}
	switch {
	case given != 1:
		return trust.Expected{}, c.wrong("say what the peer is admitted for, one of: -address URL, -room NAME, -client")
	case w.room != "":
		return trust.Expected{Room: w.room, Role: trust.RoleMember}, nil
	case w.client:
		return trust.Expected{Role: trust.RoleClient}, nil
	}
	address, err := e2e.Address(w.address)
	if err != nil {
		return trust.Expected{}, c.wrong("-address is a URL as it is dialled, such as wss://orders.example/link")
	}
	return trust.Expected{Address: address, Role: trust.RoleServer}, nil
}

func keyImport(ctx context.Context, c *call) error {
	c.storeFlag()
	at := c.scopeFlags()
	shared := c.String("shared", "", "take over the shared keyset of this `name`, which the file holds sealed")
	from := c.String("from", "", "the `file` with the public identity of who sealed the shared keyset")
	fingerprint := c.String("fingerprint", "", "the peer's `fingerprint`, instead of typing it")
	cleartext := c.Bool("insecure-cleartext", false, "make a new store of a cleartext backup")
	if err := c.parse(1, 1); err != nil {
		return err
	}
	switch {
	case (*shared == "") != (*from == ""):
		return c.wrong("-shared and -from go together: which keyset, from whom")
	case *cleartext && (at.any() || *shared != "" || *fingerprint != ""):
		return c.wrong("-insecure-cleartext makes a new store of a backup: leave the other flags out")
	case at.any() && *shared != "":
		return c.wrong("a peer and a shared keyset are imported one after the other")
	case *cleartext:
		return c.importBackup(ctx, c.args[0])
	case *shared != "":
		return c.importShared(ctx, c.args[0], *shared, *from, *fingerprint)
	}
	return c.importStatement(ctx, c.args[0], at, *fingerprint)
}

// importStatement imports what a peer has handed out: an identity, a revocation or a succession.
func (c *call) importStatement(ctx context.Context, file string, at *scopeFlags, fingerprint string) error {
	b, err := c.readFile(file, maxPublicText)
	if err != nil {
		return err
	}
	if succession, err := trust.ParseSuccession(decodeText(b)); err == nil {
		return c.importSuccession(ctx, succession)
	}
	p, err := parsePublic(file, b)
	if err != nil {
		return err
	}
	if p.Revoked() {
		return c.importRevocation(ctx, p)
	}
	return c.importPeer(ctx, file, p, at, fingerprint)
}

func (c *call) importPeer(ctx context.Context, file string, p *keys.PublicIdentity, at *scopeFlags, fingerprint string) error {
	want, err := at.expected(c)
	if err != nil {
		return err
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := notOwn(s, p); err != nil {
		return err
	}
	about := fmt.Sprintf("%s holds an identity that calls itself %s. Its fingerprint is %s\nCompare it with what the owner says over another way.",
		shown(file), safetext.Quote(p.Name(), 200), p.Fingerprint())
	if others := s.KnownPeers().Admitted(want); want.Address != "" && len(others) > 0 && !slices.Contains(others, p.Fingerprint()) {
		about += fmt.Sprintf("\nIt takes the place of %s there.", others[0])
	}
	if err := c.confirm(ctx, about, p.Fingerprint(), fingerprint); err != nil {
		return err
	}
	changed, err := reportChange(s, func() error { return s.Admit(want, p) })
	if err != nil {
		return err
	}
	return c.print(importResult{Store: s.Path(), Imported: importedPeer, Fingerprint: p.Fingerprint().String(),
		Peer: peerAt(s, want, p.Fingerprint()), Changed: changed, doneBy: s.doneBy()})
}

// notOwn refuses the store's own identity as a peer: anybody who echoes a message back would pass for
// that peer.
func notOwn(s writer, p *keys.PublicIdentity) error {
	if p.Fingerprint() == s.Identity().Fingerprint() {
		return errors.New("that is the identity of the store itself: import it at the peer")
	}
	return nil
}

// peerAt returns the admission of a root, nil for none.
func peerAt(s writer, want trust.Expected, root keys.Fingerprint) *peerResult {
	want.Fingerprint = root
	for _, p := range s.KnownPeers().All() {
		if p.At == want {
			r := describePeer(p)
			return &r
		}
	}
	return nil
}

// reportChange runs f and reports whether it has changed the known peers.
func reportChange(s writer, f func() error) (changed bool, err error) {
	before := string(s.KnownPeers().Bytes())
	err = f()
	return string(s.KnownPeers().Bytes()) != before, err
}

// importRevocation needs no confirmation: the root has signed it, whoever passes it on.
func (c *call) importRevocation(ctx context.Context, p *keys.PublicIdentity) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := notOwn(s, p); err != nil {
		return err
	}
	unknown := !s.KnownPeers().Knows(p.Fingerprint())
	changed, err := reportChange(s, func() error { return s.RevokePeer(p) })
	if err != nil {
		return err
	}
	return c.print(importResult{Store: s.Path(), Imported: importedRevocation, Fingerprint: p.Fingerprint().String(),
		Changed: changed, unknown: unknown, doneBy: s.doneBy()})
}

func (c *call) importSuccession(ctx context.Context, succession *trust.Succession) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	changed, err := reportChange(s, func() error { return s.Succeed(succession) })
	if err != nil {
		return err
	}
	return c.print(importResult{Store: s.Path(), Imported: importedSuccession, Changed: changed,
		Fingerprint: succession.Old().String(), Successor: succession.Next().String(), doneBy: s.doneBy()})
}

func (c *call) importShared(ctx context.Context, file, name, from, fingerprint string) error {
	b, err := c.readFile(file, maxSealedText)
	if err != nil {
		return err
	}
	peer, err := c.confirmedPeer(ctx, from, fingerprint)
	if err != nil {
		return err
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	set, err := openShared(s.Identity(), peer, name, decodeText(b))
	if err != nil {
		return err
	}
	before := keysOf(s)
	if hasShared(s, name) == nil {
		err = s.UpdateSharedKeyset(name, set)
	} else {
		err = s.PutSharedKeyset(name, set)
	}
	if err != nil {
		return err
	}
	return c.print(importResult{Store: s.Path(), Imported: importedShared, Fingerprint: peer.Fingerprint().String(),
		Shared: name, Changed: len(changes(before, keysOf(s))) > 0, doneBy: s.doneBy()})
}

func (c *call) importBackup(ctx context.Context, file string) error {
	b, err := c.readFile(file, maxBackup)
	if err != nil {
		return err
	}
	contents, err := parseBackup(string(b))
	if err != nil {
		return err
	}
	path, secret, err := c.newStorePath(ctx)
	if err != nil {
		return err
	}
	defer c.progress("making " + path)()
	s, err := keystore.Restore(ctx, path, secret, contents, insecurecleartext.Token{})
	if errors.Is(err, keystore.ErrBackup) {
		return errBackup
	}
	if err != nil {
		return err
	}
	defer s.Close()
	return c.print(importResult{Store: path, Imported: importedBackup, Fingerprint: s.Identity().Fingerprint().String(), Changed: true})
}

func keyForget(ctx context.Context, c *call) error {
	c.storeFlag()
	at := c.scopeFlags()
	if err := c.parse(1, 1); err != nil {
		return err
	}
	want, err := at.expected(c)
	if err != nil {
		return err
	}
	root, err := keys.ParseFingerprint(c.args[0])
	if err != nil {
		return fmt.Errorf("%w: 'hopseal key show' lists the peers", err)
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	peer := peerAt(s, want, root)
	if peer == nil {
		return fmt.Errorf("%s is not admitted there: 'hopseal key show' lists the peers", root)
	}
	if err := s.Forget(want, root); err != nil {
		return err
	}
	return c.print(importResult{Store: s.Path(), Imported: importedForgotten, Fingerprint: root.String(), Peer: peer, Changed: true, doneBy: s.doneBy()})
}
