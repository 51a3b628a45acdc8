//go:build unix

package fronts

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/sessionstore"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
	"github.com/hopseal/hopseal/keys/trust"
	"github.com/hopseal/hopseal/transport"
	"github.com/hopseal/hopseal/transport/redial"
)

// A task is what a process of its own is told to do: to be a node of a service, or the
// clients of one. Either keeps its sessions in a store and can be killed at any time.
type task struct {
	Address string        // a node listens here
	URLs    []string      // clients dial these, each a session of its own
	Roots   []byte        // PEM, for clients
	Pace    time.Duration // from one message to the next, in each direction of a session
	Default bool          // keep-alive and retries are the defaults
	Drain   time.Duration // how long a node stays unready before it lets go

	Identities [][]byte // the node's, or those of each client
	Server     string   // fingerprint, for clients
	StoreKeys  []byte
	Store      string // directories
	Journals   string
}

const taskVariable = "HOPSEAL_FRONTS_TASK"

// A process does a task until it is ended, and can be started again.
type process struct {
	task task
	told func(line string) // each line that it prints

	cmd     *exec.Cmd
	stdin   io.Closer
	reading sync.WaitGroup
}

// start starts the process and returns when it says "ready".
func (p *process) start() error {
	text, err := json.Marshal(p.task)
	if err != nil {
		return err
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestProcess$")
	cmd.Env = append(os.Environ(), taskVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // its end tells the process that the test is over
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	p.cmd, p.stdin = cmd, in
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		p.kill()
		return fmt.Errorf("the process says %q, %v", line, err)
	}
	p.reading.Go(func() {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			p.told(line)
		}
	})
	return nil
}

func (p *process) kill() { p.end(syscall.SIGKILL) }

// end waits for the end of the process by a signal.
func (p *process) end(by syscall.Signal) {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(by)
	p.reading.Wait() // before Wait, which closes the pipe
	p.cmd.Wait()
	p.stdin.Close()
	p.cmd = nil
}

// TestProcess does a task, in its own process.
func TestProcess(t *testing.T) {
	text := os.Getenv(taskVariable)
	if text == "" {
		t.Skip("this is the body of a process that other tests start")
	}
	var it task
	if err := json.Unmarshal([]byte(text), &it); err != nil {
		t.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	go func() { io.Copy(io.Discard, os.Stdin); cancel() }()
	go it.vitals(ctx)
	var err error
	if it.Address != "" {
		err = it.node(ctx)
	} else {
		err = it.clients(ctx)
	}
	if err != nil {
		say("failed: %v", err)
	}
	os.Exit(0) // its standard input may still be read
}

// say prints a line for the process that has started this one.
func say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(os.Stdout, "%.2000q\n", text)
}

// vitals says now and then how much the process holds.
func (it *task) vitals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Second):
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		say("vitals: goroutines %d, heap %d KiB", runtime.NumGoroutine(), m.HeapAlloc>>10)
	}
}

// config is what nodes and clients have in common.
func (it *task) config(identity []byte) (cfg e2e.Config, err error) {
	if !it.Default {
		cfg = quick
	}
	cfg.Protocol, cfg.Logger = "journal/1", silent
	var store sessionstore.Store
	if store, err = sessionstore.Dir(it.Store); err != nil {
		return cfg, err
	}
	cfg.Store = store
	if cfg.StoreKeys, err = keys.ParseCleartextSharedKeyset(it.StoreKeys, insecurecleartext.Token{}); err != nil {
		return cfg, err
	}
	cfg.Identity, err = keys.ParseCleartextIdentity(identity, insecurecleartext.Token{})
	return cfg, err
}

// node serves until ctx ends, and then lets go of its sessions as docs/deploy.md says.
func (it *task) node(ctx context.Context) error {
	common, err := it.config(it.Identities[0])
	if err != nil {
		return err
	}
	cfg := e2e.ServerConfig{Identity: common.Identity, Verifier: trust.InsecureAnyone(), Protocol: common.Protocol, Options: common.Options}
	gate := transport.NewGate(&transport.GateOptions{DrainLead: it.Drain})
	cfg.Accept = &transport.AcceptOptions{Gate: gate, TrustedHops: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	srv, err := e2e.NewServer(cfg, func(ctx context.Context, s *e2e.Session) error { return it.journalled(ctx, s, "server") })
	if err != nil {
		return err
	}
	l, err := listenAgain(it.Address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/socket", srv)
	mux.Handle("/readyz", gate.Ready())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return context.Background() }}
	go server.Serve(l)
	fmt.Println("ready")
	<-ctx.Done()
	patience, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	gate.Withdraw(patience)
	l.Close()
	err = srv.Shutdown(patience)
	server.Close()
	return err
}

// clients keep a session each until ctx ends.
func (it *task) clients(ctx context.Context) error {
	server, err := keys.ParseFingerprint(it.Server)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	var all sync.WaitGroup
	for i, url := range it.URLs {
		cfg, err := it.config(it.Identities[i])
		if err != nil {
			return err
		}
		cfg.Verifier, cfg.StoreName = trust.Pinned(server), fmt.Sprint("client ", i)
		cfg.Dial = &transport.DialOptions{TLS: &transport.TLSOptions{RootsPEM: it.Roots}}
		all.Go(func() { it.client(ctx, url, cfg) })
	}
	all.Wait()
	return nil
}

// client goes on with its session, or begins one where there is none yet.
func (it *task) client(ctx context.Context, url string, cfg e2e.Config) {
	var lost time.Time
	cfg.Notify = func(e e2e.Event) { // from one goroutine
		switch {
		case e.State == e2e.StateReconnecting && lost.IsZero():
			lost = time.Now()
		case e.State == e2e.StateSecure && !lost.IsZero():
			say("resumed: %d", time.Since(lost).Milliseconds())
			lost = time.Time{}
		}
	}
	cfg.Retry.Notify = func(e redial.Event) {
		if refused := new(transport.DialError); e.State == redial.Waiting && errors.As(e.Why, &refused) && refused.Status != 0 {
			say("refused: %d", refused.Status)
		}
	}
	for ctx.Err() == nil {
		s, err := e2e.Dial(ctx, url, cfg)
		if err == nil {
			say("session: %s, restored %v", s.Info().ID, s.Restored())
			err = it.journalled(ctx, s, "client")
		}
		var over *e2e.CloseError
		switch {
		case ctx.Err() != nil:
		case errors.As(err, &over) && over.Stored:
			say("let go: %v", err)
		case errors.As(err, &over):
			say("ended: %v", err)
		case err != nil: // no way to the server yet
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// journalled sends numbers, and counts those that come, until the session or ctx ends.
func (it *task) journalled(ctx context.Context, s *e2e.Session, end string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	j, err := openJournal(it.Journals, s.Info().ID, end, func(format string, args ...any) { say("violation: "+format, args...) })
	if err != nil {
		return err
	}
	sending := make(chan error, 1)
	go func() { sending <- it.send(ctx, s, j); cancel() }()
	err = it.receive(ctx, s, j)
	cancel()
	err = errors.Join(<-sending, err)
	j.close()
	return err
}

func (it *task) send(ctx context.Context, s *e2e.Session, j *journal) error {
	for {
		if isEnough(it.Journals) && !j.undecided() {
			<-ctx.Done()
			return ctx.Err()
		}
		n, err := j.next()
		if err != nil {
			return err
		}
		message := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, n), j.run)
		if err := s.Send(ctx, append(message, make([]byte, rand.IntN(500))...)); err != nil {
			return err
		}
		if err := j.sent(n); err != nil {
			return err
		}
		select {
		case <-time.After(it.Pace):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (it *task) receive(ctx context.Context, s *e2e.Session, j *journal) error {
	for {
		message, err := s.Receive(ctx)
		if err != nil {
			return err
		}
		if len(message) < 16 {
			return fmt.Errorf("a message of %d bytes", len(message))
		}
		if err := j.came(binary.BigEndian.Uint64(message), binary.BigEndian.Uint64(message[8:])); err != nil {
			return err
		}
	}
}
