//go:build unix

package keystore

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
)

// A followed is a replica with the file that it follows and the writer of another one.
type followed struct {
	t       *testing.T
	path    string // that the replica reads
	writer  *Store
	replica *Replica
	unlocks int // of the secret
}

type countedSecret struct {
	Secret
	n *int
}

func (c countedSecret) unlock(ctx context.Context, protector []byte) ([]byte, error) {
	*c.n++
	return c.Secret.unlock(ctx, protector)
}

// follow makes a replica of a copy of a store after some renewals, which the test puts in place.
func follow(t *testing.T) *followed {
	cheap(t)
	s, _ := newStore(t)
	f := &followed{t: t, writer: s, path: filepath.Join(t.TempDir(), "store")}
	f.renew()
	f.put(f.read(s.path))
	var err error
	if f.replica, err = OpenReplica(t.Context(), f.path, countedSecret{passphrase, &f.unlocks}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *followed) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *followed) renew() { f.t.Helper(); f.must(f.writer.Renew()) }

func (f *followed) read(path string) []byte {
	f.t.Helper()
	b, err := os.ReadFile(path)
	f.must(err)
	return b
}

// put replaces the file by a new one, as writers do.
func (f *followed) put(b []byte) {
	f.t.Helper()
	f.must(os.WriteFile(f.path+".new", b, 0o600))
	f.must(os.Rename(f.path+".new", f.path))
}

// fork returns another writer that goes on from what the writer has written.
func (f *followed) fork() *Store {
	f.t.Helper()
	s, err := Open(f.t.Context(), copyStore(f.t, f.writer.path), passphrase)
	f.must(err)
	f.t.Cleanup(func() { s.Close() })
	return s
}

// TestAReplicaFollowsItsStoreOnly puts files in the place of a replica's file that no writer would put there.
// The replica keeps what it had, says so at each look, asks for the secret at most once, and goes on with
// the next right file.
func TestAReplicaFollowsItsStoreOnly(t *testing.T) {
	for name, c := range map[string]struct {
		want error
		do   func(f *followed)
	}{
		"another identity": {ErrOtherIdentity, func(f *followed) {
			s, _ := newStore(t)
			for range 5 {
				f.must(s.Renew())
			}
			f.put(f.read(s.path))
		}},
		"another identity, the same number": {ErrOtherIdentity, func(f *followed) {
			s, _ := newStore(t)
			f.must(s.Renew())
			f.put(f.read(s.path))
		}},
		"an older file": {ErrRolledBack, func(f *followed) {
			b := f.read(f.path)
			f.renew()
			f.put(f.read(f.writer.path))
			_, err := f.replica.Refresh(t.Context())
			f.must(err)
			f.put(b)
		}},
		"other content, the same number": {ErrOtherHistory, func(f *followed) {
			other := f.fork()
			f.renew()
			f.put(f.read(f.writer.path))
			_, err := f.replica.Refresh(t.Context())
			f.must(err)
			set, _ := keys.GenerateSharedKeyset()
			f.must(other.PutSharedKeyset("orders", set))
			f.put(f.read(other.path))
		}},
		"another statement of one serial": {ErrOtherHistory, func(f *followed) {
			other, now := f.fork(), time.Now()
			f.writer.clock = func() time.Time { return now }
			other.clock = f.writer.clock
			f.renew()
			f.put(f.read(f.writer.path))
			_, err := f.replica.Refresh(t.Context())
			f.must(err)
			set, _ := keys.GenerateSharedKeyset()
			_, added := other.Add(KeyRef{Use: keys.UseSigning})
			f.must(errors.Join(added, other.PutSharedKeyset("orders", set)))
			f.put(f.read(other.path))
		}},
		"an older statement under a higher number": {ErrOtherHistory, func(f *followed) {
			other := f.fork()
			f.renew()
			f.put(f.read(f.writer.path))
			_, err := f.replica.Refresh(t.Context())
			f.must(err)
			for _, name := range []string{"a", "b", "c"} {
				set, _ := keys.GenerateSharedKeyset()
				f.must(other.PutSharedKeyset(name, set))
			}
			f.put(f.read(other.path))
		}},
		"another passphrase": {ErrPassphrase, func(f *followed) {
			s, err := Create(t.Context(), filepath.Join(t.TempDir(), "s"), Passphrase([]byte("violet anchor thirteen muffin glacier")), testIdentity(t, "x"))
			f.must(err)
			defer s.Close()
			f.put(f.read(s.path))
		}},
		"nothing":        {fs.ErrNotExist, func(f *followed) { f.must(os.Remove(f.path)) }},
		"a cut file":     {ErrDamaged, func(f *followed) { f.must(os.Truncate(f.path, 100)) }},
		"an empty file":  {ErrDamaged, func(f *followed) { f.must(os.Truncate(f.path, 0)) }},
		"an open file":   {ErrPermissions, func(f *followed) { f.must(os.Chmod(f.path, 0o644)) }},
		"a folder":       {ErrPermissions, func(f *followed) { f.must(errors.Join(os.Remove(f.path), os.Mkdir(f.path, 0o755))) }},
		"a closed pipe":  {ErrDamaged, func(f *followed) { f.must(errors.Join(os.Remove(f.path), syscall.Mkfifo(f.path, 0o600))) }},
		"a dangling one": {fs.ErrNotExist, func(f *followed) { f.must(errors.Join(os.Remove(f.path), os.Symlink("nowhere", f.path))) }},
	} {
		f := follow(t)
		c.do(f)
		before, unlocks := f.replica.Identity().Public(), f.unlocks
		for range 3 {
			if changed, err := f.replica.Refresh(t.Context()); changed || !errors.Is(err, c.want) {
				t.Errorf("%s: %v, %v", name, changed, err)
			}
		}
		if f.unlocks > unlocks+1 {
			t.Errorf("%s: asked for the secret %d times", name, f.unlocks-unlocks)
		}
		if !f.replica.Identity().Public().Equal(before) {
			t.Errorf("%s: the replica does not keep what it had", name)
		}
		f.must(os.RemoveAll(f.path))
		f.renew()
		f.put(f.read(f.writer.path))
		if changed, err := f.replica.Refresh(t.Context()); !changed || err != nil || !f.replica.Identity().Public().Equal(f.writer.Identity().Public()) {
			t.Errorf("%s, then the right file: %v, %v", name, changed, err)
		}
	}
}

// TestAReplicaComesBackToTheSameFile makes the file unreadable for a moment, and removes it for a moment.
func TestAReplicaComesBackToTheSameFile(t *testing.T) {
	f := follow(t)
	content := f.read(f.path)
	f.must(os.Chmod(f.path, 0o640))
	if _, err := f.replica.Refresh(t.Context()); !errors.Is(err, ErrPermissions) {
		t.Error(err)
	}
	f.must(os.Chmod(f.path, 0o400))
	if changed, err := f.replica.Refresh(t.Context()); changed || err != nil {
		t.Errorf("closed again: %v, %v", changed, err)
	}
	f.put(content)
	if changed, err := f.replica.Refresh(t.Context()); changed || err != nil {
		t.Errorf("the same content in another file: %v, %v", changed, err)
	}
}

// TestAReplicaFollowsASwitchedLink follows the file of a Kubernetes secret: a link through a link to a folder,
// and that second link is switched.
func TestAReplicaFollowsASwitchedLink(t *testing.T) {
	f := follow(t)
	dir := t.TempDir()
	mount := func(version string) {
		t.Helper()
		folder := filepath.Join(dir, ".."+version)
		f.must(errors.Join(os.Mkdir(folder, 0o755), os.WriteFile(filepath.Join(folder, "store"), f.read(f.writer.path), 0o400)))
		f.must(errors.Join(os.Symlink(".."+version, filepath.Join(dir, "..tmp")), os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data"))))
	}
	mount("2026_01")
	link := filepath.Join(dir, "store")
	f.must(os.Symlink(filepath.Join("..data", "store"), link))
	r, err := OpenReplica(t.Context(), link, passphrase)
	f.must(err)
	for _, version := range []string{"2026_02", "2026_03"} {
		f.renew()
		before, err := filepath.EvalSymlinks(link)
		f.must(err)
		mount(version)
		f.must(os.RemoveAll(filepath.Dir(before)))
		if changed, err := r.Refresh(t.Context()); !changed || err != nil || !bytes.Equal(r.Identity().Public().Bytes(), f.writer.Identity().Public().Bytes()) {
			t.Errorf("%s: %v, %v", version, changed, err)
		}
		if changed, err := r.Refresh(t.Context()); changed || err != nil {
			t.Errorf("%s again: %v, %v", version, changed, err)
		}
	}
}

// TestAReplicaSeesAWriteWithinATick writes twice within a tick of the file system's clock: the second
// file has the number, the size and the time of the first one.
func TestAReplicaSeesAWriteWithinATick(t *testing.T) {
	f := follow(t)
	for _, damage := range []bool{false, true} {
		info, err := os.Stat(f.path)
		f.must(err)
		f.renew()
		b := f.read(f.writer.path)
		if damage {
			b[len(b)-1]++
		}
		if len(b) != int(info.Size()) {
			t.Fatalf("%d bytes, %d before", len(b), info.Size())
		}
		f.must(errors.Join(os.WriteFile(f.path, b, 0o600), os.Chtimes(f.path, time.Time{}, info.ModTime())))
		if changed, err := f.replica.Refresh(t.Context()); changed == damage || errors.Is(err, ErrDamaged) != damage {
			t.Errorf("damaged %v: %v, %v", damage, changed, err)
		}
	}
	info, err := os.Stat(f.path)
	f.must(err)
	f.must(errors.Join(os.WriteFile(f.path, f.read(f.writer.path), 0o600), os.Chtimes(f.path, time.Time{}, info.ModTime())))
	if changed, err := f.replica.Refresh(t.Context()); !changed || err != nil {
		t.Errorf("after a damaged one: %v, %v", changed, err)
	}
}

// slowSecret waits, like a key management service that does not answer.
type slowSecret struct {
	Secret
	asked, answer chan struct{}
}

func (s slowSecret) unlock(ctx context.Context, protector []byte) ([]byte, error) {
	s.asked <- struct{}{}
	<-s.answer
	return s.Secret.unlock(ctx, protector)
}

// TestAReplicaAnswersWhileItsSecretDoesNot uses a replica while it waits for the key of a new file. A function
// that is called after a change may use the replica too.
func TestAReplicaAnswersWhileItsSecretDoesNot(t *testing.T) {
	f := follow(t)
	slow := slowSecret{passphrase, make(chan struct{}), make(chan struct{})}
	f.replica.secret, f.replica.master = slow, nil // as when the store has got another passphrase
	told := 0
	defer f.replica.KnownPeers().OnChange(func() {
		told++
		f.replica.SharedKeysets()
		if _, err := f.replica.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	})()
	peer := testIdentity(t, "peer").Public()
	f.must(f.writer.KnownPeers().Admit(trust.Expected{Room: "r"}, peer))
	f.put(f.read(f.writer.path))
	refreshed := make(chan error)
	go func() {
		_, err := f.replica.Refresh(t.Context())
		refreshed <- err
	}()
	<-slow.asked
	if names := f.replica.SharedKeysets(); len(names) != 0 {
		t.Error(names)
	}
	if _, err := f.replica.MarshalCleartext(insecurecleartext.Token{}); err != nil {
		t.Error(err)
	}
	close(slow.answer)
	if err := <-refreshed; err != nil || told != 1 {
		t.Errorf("%v, told %d times", err, told)
	}
}
