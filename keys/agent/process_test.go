//go:build unix

package agent

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/hopseal/hopseal/envelope"
	"github.com/hopseal/hopseal/internal/label"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

const childEnv = "HOPSEAL_TEST_AGENT"

// child is the agent's process. It makes the keys itself, and tells them only if it is asked to, at
// the end.
func child(dir string) {
	root, signing := newKey(), newKey()
	server := must(Listen(filepath.Join(dir, "s"), Key{Local(root), Statements}, Key{Local(signing), Messages}))
	go func() {
		bufio.NewScanner(os.Stdin).Scan()
		fmt.Printf("%x %x\n", root.Seed(), signing.Seed())
		server.Close()
	}()
	fmt.Println("ready")
	if err := server.Serve(context.Background()); err != nil {
		panic(err)
	}
}

// tapped records what goes over a socket, each way.
type tapped struct {
	net.Conn
	mu      *sync.Mutex
	out, in *[]byte
}

func (c tapped) Write(b []byte) (int, error) {
	c.mu.Lock()
	*c.out = append(*c.out, b...)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func (c tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	*c.in = append(*c.in, b[:n]...)
	c.mu.Unlock()
	return n, err
}

// The root and the signing key of an identity are in another process. The identity signs statements,
// seals messages, is stored and comes back. Neither key nor a part of one ever enters this process:
// the test looks at all that it received byte for byte, and on Linux at all of its memory.
func TestPrivateKeysStayInAnotherProcess(t *testing.T) {
	dir := privateDir(t)
	agent := exec.Command(must(os.Executable()))
	agent.Env = append(os.Environ(), childEnv+"="+dir)
	agent.Stderr = os.Stderr
	stdin, stdout := must(agent.StdinPipe()), must(agent.StdoutPipe())
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Process.Kill(); _ = agent.Wait() })
	said := bufio.NewScanner(stdout)
	if got := line(t, said); got != "ready" {
		t.Fatal(got)
	}

	client := NewClient(filepath.Join(dir, "s"), 0)
	var mu sync.Mutex
	var sent, received []byte
	client.tap = func(c net.Conn) net.Conn { return tapped{c, &mu, &sent, &received} }
	list := must(client.Keys(t.Context()))
	root, signing := list[0].Key, list[1].Key
	statements, messages := useFromOutside(t, client, root, signing)

	dump := dumpMemory(t)
	fmt.Fprintln(stdin, "tell")
	var seeds [2][]byte
	for i, text := range strings.Fields(line(t, said)) {
		seeds[i] = must(hex.DecodeString(text))
	}
	if !ed25519.NewKeyFromSeed(seeds[0]).Public().(ed25519.PublicKey).Equal(root) {
		t.Fatal("the agent tells another key")
	}
	for _, seed := range seeds {
		expanded := sha512.Sum512(seed)
		for name, secret := range map[string][]byte{"seed": seed, "scalar": expanded[:32], "nonce key": expanded[32:]} {
			if bytes.Contains(received, secret) || bytes.Contains(sent, secret) {
				t.Errorf("the %s went over the socket", name)
			}
			if dump.contains(t, secret) {
				t.Errorf("the %s is in this process's memory", name)
			}
		}
	}

	// Golden: a list, then signatures and nothing else.
	want := framed(reply{statusOK, appendList(nil, list)}.append(nil))
	rest, ok := bytes.CutPrefix(received, want)
	for n := statements + messages; ok && n > 0; n-- {
		body, err := readFrame(bytes.NewReader(rest))
		p, err2 := parseReply(body)
		if err != nil || err2 != nil || len(p.result) != ed25519.SignatureSize {
			t.Fatalf("received %x: %v, %v", rest, err, err2)
		}
		rest = rest[len(framed(body)):]
	}
	if !ok || len(rest) != 0 {
		t.Errorf("received %x as well", rest)
	}
	requests := bytes.NewReader(sent)
	for requests.Len() > 0 {
		if _, err := parseRequest(must(readFrame(requests))); err != nil {
			t.Errorf("sent %x", sent)
		}
	}
	stdin.Close()
	if err := agent.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := client.Signer(root).Sign(label.Identity.With(nil)); !errors.Is(err, ErrGone) {
		t.Errorf("the agent has ended: %v", err)
	}
}

// useFromOutside does what an application does, and returns how often each key
// signed.
func useFromOutside(t *testing.T, client *Client, root, signing ed25519.PublicKey) (statements, messages int) {
	me, err := keys.GenerateIdentityWith("billing", client.Signer(root), client.Signer(signing))
	if err != nil {
		t.Fatal(err)
	}
	peer := must(keys.GenerateIdentity("orders"))
	exchangeMessage(t, me, peer)

	saved := must(me.MarshalCleartext(insecurecleartext.Token{}))
	again := must(keys.ParseCleartextIdentity(saved, insecurecleartext.Token{}))
	if _, err := again.Signer().Sign(label.EnvelopeProof.With(nil)); !errors.Is(err, keys.ErrDetached) {
		t.Errorf("before the agent is attached: %v", err)
	}
	for _, key := range []ed25519.PublicKey{root, signing} {
		if err := again.Attach(client.Signer(key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := again.Renew(); err != nil {
		t.Fatal(err)
	}
	exchangeMessage(t, again, peer)
	return 2, 2
}

func exchangeMessage(t *testing.T, from, to *keys.Identity) {
	t.Helper()
	sealer := envelope.Sealer{From: from, To: []*keys.PublicIdentity{to.Public()}, Context: "orders"}
	sealed, err := sealer.Seal(nil, []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	opener := envelope.Opener{Identity: to, From: from.Public(), Context: "orders", InsecureAllowReplay: true}
	if got, _, err := opener.Open(nil, sealed); err != nil || string(got) != "message" {
		t.Errorf("%q, %v", got, err)
	}
}

// memory is a copy, in a file, of what this process could read of itself. So the search for a secret
// does not find its own traces.
type memory struct{ file *os.File }

func dumpMemory(t *testing.T) memory {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Log("this system has no /proc/self/mem: only the socket is looked at")
		return memory{}
	}
	planted := randomBytes(32)
	runtime.GC()
	file := must(os.Create(filepath.Join(t.TempDir(), "memory")))
	t.Cleanup(func() { file.Close() })
	mem := must(os.Open("/proc/self/mem"))
	defer mem.Close()
	for _, region := range strings.Split(string(must(os.ReadFile("/proc/self/maps"))), "\n") {
		copyRegion(file, mem, region)
	}
	m := memory{file}
	if !m.contains(t, planted) {
		t.Fatal("the dump does not hold what is in memory")
	}
	return m
}

const chunk = 1 << 16

// copyRegion copies the present pages of a writable region. The race detector maps terabytes, nearly
// all of them absent; its shadows hold no user data.
func copyRegion(to io.Writer, mem io.ReaderAt, region string) {
	var from, end uint64
	var mode string
	if n, _ := fmt.Sscanf(region, "%x-%x %s", &from, &end, &mode); n != 3 || !strings.HasPrefix(mode, "rw") || end-from > 1<<30 {
		return
	}
	buf := make([]byte, chunk)
	for at := from; at < end; at += chunk {
		n, _ := mem.ReadAt(buf[:min(chunk, end-at)], int64(at))
		_, _ = to.Write(buf[:n])
	}
	clear(buf)
}

func (m memory) contains(t *testing.T, secret []byte) bool {
	t.Helper()
	if m.file == nil {
		return false
	}
	if _, err := m.file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	window := make([]byte, 0, chunk+len(secret))
	for {
		n, err := m.file.Read(window[len(window):cap(window)])
		window = window[:len(window)+n]
		if bytes.Contains(window, secret) {
			return true
		}
		if err != nil {
			return false
		}
		window = window[:copy(window, window[max(0, len(window)-len(secret)+1):])]
	}
}
