package agent

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hopseal/hopseal/keys"
)

const (
	maxConnections = 64
	requestTime    = 10 * time.Second // for a client to send its request and take its reply
	acceptPause    = 50 * time.Millisecond
)

// A Key is a private key with what it may sign.
type Key struct {
	Signer keys.Signer
	For    Purpose
}

// Local returns a Signer for a private key in this process's memory. It prints as a placeholder. If
// private is not an Ed25519 key, [Listen] refuses the Signer.
func Local(private ed25519.PrivateKey) keys.Signer {
	private = bytes.Clone(private)
	return &local{&private}
}

// local holds the key behind two pointers: fmt cannot call Format on an unexported field, but follows
// at most one pointer there.
type local struct{ private *ed25519.PrivateKey }

func (l *local) PublicKey() ed25519.PublicKey {
	if l.empty() {
		return nil
	}
	return l.private.Public().(ed25519.PublicKey)
}

func (l *local) Sign(message []byte) ([]byte, error) {
	if l.empty() {
		return nil, errors.New("agent: Local was given no private key of Ed25519")
	}
	return ed25519.Sign(*l.private, message), nil
}

func (l *local) empty() bool                  { return len(*l.private) != ed25519.PrivateKeySize }
func (l *local) Format(s fmt.State, _ rune)   { fmt.Fprint(s, "agent.Local[redacted]") }
func (l *local) MarshalJSON() ([]byte, error) { return []byte(`"[redacted]"`), nil }

// A Server holds keys and signs with them.
type Server struct {
	listener *net.UnixListener
	keys     []Key
	slots    chan struct{}
	serving  sync.WaitGroup
	timeout  time.Duration
}

// Listen makes the socket, mode 0600. Its directory must be the user's own and closed to others, or
// the error wraps [ErrNotPrivate]. Listen replaces a socket that refuses connections: an agent left
// it behind. If an agent listens there, busy or not, the error wraps [ErrInUse].
func Listen(path string, ks ...Key) (*Server, error) {
	if err := checkKeys(ks); err != nil {
		return nil, err
	}
	if err := checkDirectory(path); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("agent: %w: the path of a socket has about 100 bytes at most", err)
	}
	// Until here the directory alone keeps others out.
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("agent: %w", err)
	}
	return &Server{listener: l, keys: ks, slots: make(chan struct{}, maxConnections), timeout: requestTime}, nil
}

func checkKeys(ks []Key) error {
	if len(ks) == 0 || len(ks) > maxKeys {
		return fmt.Errorf("agent: an agent holds 1 to %d keys", maxKeys)
	}
	for _, k := range ks {
		if k.Signer == nil || len(k.Signer.PublicKey()) != ed25519.PublicKeySize {
			return errors.New("agent: a key without a Signer")
		}
		if k.For == 0 || k.For&^(Statements|Messages) != 0 {
			return errors.New("agent: a key needs a purpose: Statements for a root, Messages for a signing key")
		}
	}
	return nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return agentError(path, fs.ErrExist, "it is not a socket: choose another path")
	}
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		c.Close()
		return agentError(path, ErrInUse, "stop it first, or choose another path")
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, syscall.EAGAIN): // its queue is full: somebody listens
		return agentError(path, ErrInUse, "it is busy: stop it first, or choose another path")
	}
	return fmt.Errorf("agent: whether one listens at the socket is not known: %w: try again", err)
}

// Serve answers requests until ctx ends or the server is closed. It returns when
// the last request has been answered: nil after Close, else ctx's error.
func (s *Server) Serve(ctx context.Context) error {
	defer s.serving.Wait()
	defer s.Close()
	defer context.AfterFunc(ctx, func() { s.Close() })()
	for {
		select { // at the limit further clients wait in the kernel
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		conn, err := s.listener.Accept()
		switch {
		case err == nil:
			s.serving.Go(func() {
				defer func() { <-s.slots }()
				s.serve(conn)
			})
			continue
		case errors.Is(err, net.ErrClosed):
			return ctx.Err()
		}
		<-s.slots
		select { // out of file descriptors, for example
		case <-ctx.Done():
		case <-time.After(acceptPause):
		}
	}
}

// Close ends Serve and removes the socket. It may be called twice.
func (s *Server) Close() error {
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// serve answers one request. What does not parse gets no answer.
func (s *Server) serve(conn net.Conn) {
	defer conn.Close()
	defer func() { _ = recover() }() // a Signer's panic ends this request only
	if err := conn.SetDeadline(time.Now().Add(s.timeout)); err != nil {
		return
	}
	body, err := readFrame(conn)
	if err != nil {
		return
	}
	q, err := parseRequest(body)
	if err != nil {
		return
	}
	_ = writeFrame(conn, s.answer(q).append(nil))
}

func (s *Server) answer(q request) reply {
	if q.op == opList {
		return reply{statusOK, appendList(nil, s.list())}
	}
	held := statusNoKey
	for _, k := range s.keys {
		if !bytes.Equal(k.Signer.PublicKey(), q.key[:]) {
			continue
		}
		if held = statusRefused; k.For.allows(q.message) {
			return sign(k.Signer, q.message)
		}
	}
	return reply{held, nil}
}

func sign(signer keys.Signer, message []byte) reply {
	sig, err := signer.Sign(message)
	if err != nil || len(sig) != ed25519.SignatureSize {
		return reply{statusFailed, nil}
	}
	return reply{statusOK, sig}
}

func (s *Server) list() []PublicKey {
	list := make([]PublicKey, len(s.keys))
	for i, k := range s.keys {
		list[i] = PublicKey{k.Signer.PublicKey(), k.For}
	}
	return list
}
