//go:build !js

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hopseal/hopseal/internal/lapse"
	"github.com/hopseal/hopseal/internal/safetext"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/keystore"
)

// changeResult says what a step or a rotation has changed.
type changeResult struct {
	Store   string      `json:"store"`
	Changes []keyChange `json:"changes"`
	Renewed bool        `json:"renewed"` // there is a new statement to hand out
	identityResult
	Next *time.Time `json:"next,omitempty"` // when the next step will be due, of a rotation

	// Warnings tell of a clock that has jumped, of keys that were archived while peers may seal to
	// them, and of keysets that will be full within a month, of a rotation.
	Warnings []string `json:"warnings,omitempty"`

	doneBy

	rotation bool
}

// keyChange is a key that has come to another stage. The first is "" for a new key, the last
// "destroyed".
type keyChange struct {
	Use    string `json:"use"`
	Keyset string `json:"keyset,omitempty"`
	Key    uint32 `json:"key"`
	From   string `json:"from"`
	To     string `json:"to"`
}

const stageNew, stageDestroyed = "", "destroyed"

func (r changeResult) text(w io.Writer) {
	if len(r.Changes) == 0 && !r.Renewed {
		fmt.Fprintf(w, "nothing is due\n")
	}
	shared := false
	for _, k := range r.Changes {
		from := k.From
		if from == stageNew {
			from = "new"
		}
		fmt.Fprintf(w, "%s key %d: %s, was %s\n", keyResult{Use: k.Use, Keyset: k.Keyset}.set(), k.Key, k.To, from)
		shared = shared || k.Keyset != ""
	}
	if r.Renewed {
		fmt.Fprintf(w, "new statement: serial %d, expires %s\n", r.Serial, timeText(r.Expires))
	}
	if shared {
		fmt.Fprintf(w, "hand the shared keyset to its other holders: hopseal key export -shared NAME -to PEER-FILE\n")
	}
	if r.rotation {
		fmt.Fprintf(w, "next step due: %s\n", timeText(r.Next))
	}
	for _, text := range r.Warnings {
		fmt.Fprintf(w, "warning: %s\n", text)
	}
	r.doneBy.text(w)
}

// recordChanges runs f and returns what it has changed in the store.
func recordChanges(s writer, f func() error) (changeResult, error) {
	before, public := keysOf(s), s.Identity().Public()
	err := f()
	after := s.Identity().Public()
	made := changes(before, keysOf(s))
	return changeResult{Store: s.Path(), Changes: made, Renewed: !after.Equal(public), identityResult: describe(after),
		Warnings: append(clockWarnings(s), archivedEarly(s, made)...), doneBy: s.doneBy()}, err
}

func changes(before, after []keyResult) []keyChange {
	stages := make(map[string]string)
	name := func(k keyResult) string { return fmt.Sprint(k.set(), k.Key) }
	for _, k := range before {
		stages[name(k)] = k.Stage
	}
	out := []keyChange{}
	for _, k := range after {
		if was := stages[name(k)]; was != k.Stage {
			out = append(out, keyChange{k.Use, k.Keyset, k.Key, was, k.Stage})
		}
		delete(stages, name(k))
	}
	for _, k := range before {
		if was, gone := stages[name(k)]; gone {
			out = append(out, keyChange{k.Use, k.Keyset, k.Key, was, stageDestroyed})
		}
	}
	return out
}

// keyStep returns the command that takes one step with one key.
func keyStep(step func(writer, keystore.KeyRef) error) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		c.storeFlag()
		selected := c.selectFlags()
		if err := c.parse(1, 1); err != nil {
			return err
		}
		if err := c.checkSelection(selected); err != nil {
			return err
		}
		s, err := c.open(ctx)
		if err != nil {
			return err
		}
		defer s.Close()
		ref, err := selected.find(s, c.args[0])
		if err != nil {
			return err
		}
		r, err := recordChanges(s, func() error { return step(s, ref) })
		if err != nil {
			return err
		}
		return c.print(r)
	}
}

func keyRotate(ctx context.Context, c *call) error {
	c.storeFlag()
	selected := c.selectFlags()
	now := c.Bool("now", false, "make a key of the selected keyset and promote it at once")
	add := c.Bool("add", false, "make a key of the selected keyset, pending: to be handed out, then promoted")
	p := keystore.DefaultRotation
	c.Var((*days)(&p.Age), "age", "`time` after which a primary is replaced, such as 30d or 12h")
	c.Var((*days)(&p.Lead), "lead", "`time` between making a key and promoting it")
	c.Var((*days)(&p.Overlap), "overlap", "`time` for what is in transit, before a key that nobody seals with any more is archived")
	c.Var((*days)(&p.Keep), "keep", "`time` between archiving a key and destroying it; 0 keeps it")
	c.Var((*list)(&p.Follow), "follow", "`name` of a shared keyset that another holder rotates; may be repeated")
	if err := c.parse(0, 0); err != nil {
		return err
	}
	if err := c.checkSelection(selected); err != nil {
		return err
	}
	switch {
	case *now && *add:
		return c.wrong("-now promotes at once what -add leaves pending: give one")
	case (*now || *add) == selected.any():
		return c.wrong("-now or -add go with -use or -shared: together they change one keyset, without them every keyset takes the steps that are due")
	case p.Age > 0 && p.Age < p.Lead:
		return c.wrong("-age must not be below -lead")
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	if s.Identity().Public().Revoked() {
		return keys.ErrRevoked
	}
	if selected.shared != "" {
		if err := hasShared(s, selected.shared); err != nil {
			return err
		}
	}
	rotation := func() (time.Time, []*keystore.KeysetFullError, error) { return s.Rotate(p, c.choosesPolicy()) }
	switch {
	case *now:
		rotation = func() (next time.Time, _ []*keystore.KeysetFullError, err error) {
			_, err = s.Replace(selected.ref())
			return
		}
	case *add:
		rotation = func() (next time.Time, _ []*keystore.KeysetFullError, err error) {
			_, err = s.Add(selected.ref())
			return
		}
	}
	return c.rotate(s, rotation, selected.any(), policyWarnings(p))
}

// choosesPolicy reports whether a flag says how to rotate.
func (c *call) choosesPolicy() (yes bool) {
	c.Visit(func(f *flag.Flag) {
		yes = yes || slices.Contains([]string{"age", "lead", "overlap", "keep", "follow"}, f.Name)
	})
	return yes
}

// rotate runs a rotation and prints what it has changed. For a rotation of all keysets it also prints
// when the next step will be due.
func (c *call) rotate(s writer, rotation func() (time.Time, []*keystore.KeysetFullError, error), all bool, policy []string) error {
	var next time.Time
	var filling []*keystore.KeysetFullError
	r, err := recordChanges(s, func() (err error) {
		next, filling, err = rotation()
		return err
	})
	r.rotation, r.Next = all && err == nil, moment(next)
	if err == nil && all {
		r.Warnings = append(r.Warnings, fillingWarnings(filling)...)
		r.Warnings = append(r.Warnings, policy...)
	}
	if err != nil && (len(r.Changes) > 0 || r.Renewed) {
		// Each step counts by itself: print those before the one that failed.
		return errors.Join(c.print(r), err)
	}
	if err != nil {
		return err
	}
	return c.print(r)
}

// policyWarnings warns of keys that change more often than statements can list them.
func policyWarnings(p keystore.RotationPolicy) []string {
	life := p.SignatureLife()
	if life >= keys.MaxLifetime {
		return nil
	}
	return []string{fmt.Sprintf("with a new signing key every %s, messages verify for %s: with -age 12h or more they may wait for 30 days", p.Age, lapse.Text(life))}
}

func fillingWarnings(full []*keystore.KeysetFullError) (out []string) {
	for _, e := range full {
		out = append(out, explain(e))
	}
	return out
}

// clockWarnings warns if the clock may be wrong.
func clockWarnings(s writer) []string {
	from, to, doubted := s.ClockJump()
	if !doubted {
		return nil
	}
	return []string{fmt.Sprintf("the clock of this machine has jumped, from %s to %s: until it has been confirmed, for an hour or by another run, keys take no step by themselves: if it is wrong, set it",
		timeText(moment(from)), timeText(moment(to)))}
}

// archivedEarly warns of archived keys that peers may still seal to.
func archivedEarly(s writer, made []keyChange) (out []string) {
	for _, k := range made {
		until := s.ListedUntil(keystore.KeyRef{Use: keys.UseSealing, TinkID: k.Key})
		if k.Use == keys.UseSealing.String() && k.To == keys.StageArchived.String() && time.Now().Before(until) {
			out = append(out, fmt.Sprintf("until %s peers may seal to sealing key %d, by statements that they hold: it is refused, and opens from an archive only", timeText(moment(until)), k.Key))
		}
	}
	return out
}

func keyRenew(ctx context.Context, c *call) error {
	c.storeFlag()
	if err := c.parse(0, 0); err != nil {
		return err
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := recordChanges(s, s.Renew)
	if err != nil {
		return err
	}
	return c.print(r)
}

// days is a duration that may be given in days.
type days time.Duration

func (d *days) String() string {
	t := time.Duration(*d)
	if t > 0 && t%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", t/(24*time.Hour))
	}
	return t.String()
}

func (d *days) Set(s string) error {
	text, inDays := strings.CutSuffix(s, "d")
	t, err := time.ParseDuration(s)
	if inDays {
		var n uint64
		n, err = strconv.ParseUint(text, 10, 16)
		t = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || t < 0 {
		return errors.New("want a time such as 30d, 12h or 90m")
	}
	*d = days(t)
	return nil
}

// list is a flag that may be repeated.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(s string) error {
	if s == "" {
		return errors.New("want a name")
	}
	*l = append(*l, s)
	return nil
}

// revokeResult is a revocation that was made or prepared.
type revokeResult struct {
	identityResult
	doneBy
	Prepared bool   `json:"prepared"`
	Identity string `json:"identity"` // the statement to hand out, base64
}

func (r revokeResult) text(w io.Writer) {
	if r.Prepared {
		fmt.Fprintln(w, r.Identity)
		return
	}
	fmt.Fprintf(w, "revoked %s\nwhoever imports what 'hopseal key export' writes now trusts it no more: hand it out\n", r.Fingerprint)
	r.doneBy.text(w)
}

func keyRevoke(ctx context.Context, c *call) error {
	c.storeFlag()
	fingerprint := c.String("fingerprint", "", "the identity's `fingerprint`, instead of typing it")
	prepare := c.Bool("prepare", false, "write the revocation without withdrawing anything, to keep it for the day the store is lost")
	if err := c.parse(0, 0); err != nil {
		return err
	}
	if *prepare {
		return c.prepareRevocation(ctx)
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	warning := fmt.Sprintf("This withdraws the identity %s for good. Its fingerprint is %s", safetext.Quote(s.Identity().Name(), 200), s.Identity().Fingerprint())
	if err := c.confirm(ctx, warning, s.Identity().Fingerprint(), *fingerprint); err != nil {
		return err
	}
	if err := s.Revoke(); err != nil {
		return err
	}
	p := s.Identity().Public()
	return c.print(revokeResult{identityResult: describe(p), doneBy: s.doneBy(), Identity: encodeText(p.Bytes())})
}

func (c *call) prepareRevocation(ctx context.Context) error {
	s, err := c.read(ctx)
	if err != nil {
		return err
	}
	p, err := s.Identity().Revocation()
	if err != nil {
		return err
	}
	return c.print(revokeResult{identityResult: describe(p), Prepared: true, Identity: encodeText(p.Bytes())})
}

// confirm requires the fingerprint that the caller means, from a flag or typed by a person.
func (c *call) confirm(ctx context.Context, about string, is keys.Fingerprint, given string) error {
	if given == "" && !c.console.attended() {
		return fmt.Errorf("not confirmed: give -fingerprint with the one that you mean, as its owner tells it")
	}
	if given == "" {
		var err error
		fmt.Fprintln(c.stderr, about)
		if given, err = c.console.line(ctx, "Type the fingerprint to go on: "); err != nil {
			return err
		}
	}
	meant, err := keys.ParseFingerprint(given)
	if err != nil {
		return fmt.Errorf("%w: nothing was changed: try again", err)
	}
	if meant != is {
		return fmt.Errorf("the fingerprint is %s, not the one that you gave: nothing was changed: ask the owner which one is right", is)
	}
	return nil
}
