//go:build unix

package envelope

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// The test of this file runs its own binary again as a service that acts on
// messages, and kills it.
const (
	serviceFolder = "HOPSEAL_TEST_SERVICE_FOLDER" // makes the binary such a service
	longTests     = "HOPSEAL_LONG_TESTS"          // hundreds of kills instead of dozens
)

func init() {
	if folder := os.Getenv(serviceFolder); folder != "" {
		if err := beService(folder); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("done")
		os.Exit(0)
	}
}

// beService opens every message of the folder, in any order, and acts on what
// opens, as the documentation of ReplayGuard.Bytes says: the guard is stored first.
func beService(folder string) error {
	l, guard, err := loadService(folder)
	if err != nil {
		return err
	}
	messages, err := os.ReadFile(filepath.Join(folder, "messages"))
	if err != nil {
		return err
	}
	var all [][]byte
	for len(messages) > 4 {
		n := binary.BigEndian.Uint32(messages)
		all = append(all, messages[4:][:n])
		messages = messages[4+n:]
	}
	fmt.Println("ready")
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, m := range all {
		o := l[m[0]].Opener
		o.Replay, o.InsecureAllowReplay = guard, false
		id, err := openEither(&o, m[1] == 1, m[2:])
		if ReasonOf(err) == ReasonReplay {
			continue
		}
		if err == nil {
			err = replace(filepath.Join(folder, "guard"), guard.Bytes())
		}
		if err == nil {
			err = act(filepath.Join(folder, "effects"), id)
		}
		if err != nil {
			return fmt.Errorf("%w (%v)", err, ReasonOf(err))
		}
	}
	return nil
}

func openEither(o *Opener, stream bool, sealed []byte) (MessageID, error) {
	if !stream {
		_, h, err := o.Open(nil, sealed)
		return h.ID, err
	}
	r, err := o.NewReader(bytes.NewReader(sealed))
	if err != nil {
		return MessageID{}, err
	}
	_, err = io.Copy(io.Discard, r)
	return r.Header().ID, err
}

func replace(path string, b []byte) error {
	err := os.WriteFile(path+".part", b, 0o600)
	return errors.Join(err, os.Rename(path+".part", path))
}

func act(path string, id MessageID) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(id.String() + "\n")
	return errors.Join(err, f.Close())
}

// loadService reads what the service holds: keys, and its guard if there is one.
func loadService(folder string) ([]link, *ReplayGuard, error) {
	var errs []error
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(folder, name))
		errs = append(errs, err)
		return b
	}
	bob, err := keys.ParseCleartextIdentity(read("bob"), insecurecleartext.Token{})
	errs = append(errs, err)
	alice, err := keys.ParsePublic(read("alice"))
	errs = append(errs, err)
	shared, err := keys.ParseCleartextSharedKeyset(read("shared"), insecurecleartext.Token{})
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, nil, err
	}
	l := []link{
		{Opener: Opener{Shared: shared, Party: "b", FromParty: "a", Context: "context"}},
		{Opener: Opener{Shared: shared, Party: "b", Identity: bob, From: alice, Context: "context"}},
		{Opener: Opener{Identity: bob, From: alice, Context: "context"}},
	}
	b, err := os.ReadFile(filepath.Join(folder, "guard"))
	if errors.Is(err, os.ErrNotExist) {
		return l, anyTime(), nil // the first start: nothing can have been opened
	} else if err != nil {
		return nil, nil, err
	}
	guard, err := ParseReplayGuard(b)
	return l, guard, err
}

// A16: the service is killed at any moment, again and again, and started again. A
// hop brings it every message that there ever was, each time. None takes effect
// twice, and each kill costs at most the one that was being acted on.
func TestA16KilledServiceActsOnNothingTwice(t *testing.T) {
	kills := 30
	if os.Getenv(longTests) != "" {
		kills = 600
	}
	folder, all := t.TempDir(), links(t)
	alice, bob := all[2].Sealer.From, all[2].Identity
	all[1].Sealer.From = alice
	for name, b := range map[string][]byte{
		"alice":  alice.Public().Bytes(),
		"bob":    made(bob.MarshalCleartext(insecurecleartext.Token{})),
		"shared": made(all[0].Sealer.Shared.MarshalCleartext(insecurecleartext.Token{})),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sent := 0
	for range kills {
		sent += sendMessages(t, folder, all)
		runService(t, folder, rand.N(12*time.Millisecond))
	}
	if runService(t, folder, 0) {
		t.Fatal("the last run was killed")
	}
	b, err := os.ReadFile(filepath.Join(folder, "effects"))
	if err != nil {
		t.Fatal(err)
	}
	acted := map[string]bool{}
	for id := range strings.FieldsSeq(string(b)) {
		if acted[id] {
			t.Errorf("%s took effect twice", id)
		}
		acted[id] = true
	}
	if lost := sent - len(acted); lost > kills {
		t.Errorf("%d of %d messages took no effect, after %d kills", lost, sent, kills)
	} else {
		t.Logf("%d messages, %d lost to %d kills", sent, lost, kills)
	}
}

// sendMessages adds messages to those that a hop has kept.
func sendMessages(t *testing.T, folder string, all []link) (sent int) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(folder, "messages"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range all {
		l.To = l.To[max(0, len(l.To)-1):]
		for range 2 {
			for form, sealed := range [][]byte{seal(t, &l.Sealer, "pay 100"), sealStream(t, &l.Sealer, []byte("pay 100"))} {
				head := append(binary.BigEndian.AppendUint32(nil, uint32(2+len(sealed))), byte(i), byte(form))
				if _, err := f.Write(append(head, sealed...)); err != nil {
					t.Fatal(err)
				}
				sent++
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return sent
}

// runService runs the service, kills it after a while unless that is 0, and says
// whether it was.
func runService(t *testing.T, folder string, after time.Duration) (killed bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), serviceFolder+"="+folder)
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	first, _ := lines.ReadString('\n') // it has loaded its guard
	if first == "ready\n" && after > 0 {
		timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
		defer timer.Stop()
	}
	rest, _ := io.ReadAll(lines)
	cmd.Wait()
	if first != "ready\n" || len(rest) > 0 && string(rest) != "done\n" {
		t.Fatalf("the service failed: %s%s", first, rest)
	}
	return len(rest) == 0
}
