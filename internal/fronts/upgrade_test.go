//go:build unix

package fronts

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hopseal/hopseal/internal/freeport"
	"github.com/hopseal/hopseal/keys"
	"github.com/hopseal/hopseal/keys/insecurecleartext"
)

// Two nodes that share a store are replaced one after the other behind a front
// as docs/deploy.md has it, while clients with the default settings talk: they are back
// on the other node at once, and nothing is lost, doubled or reordered.
func TestUpgradeWithoutDowntime(t *testing.T) {
	t.Parallel()
	for _, kind := range []*Kind{Nginx, HAProxy} {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			u := startUpgrade(t, kind)
			u.awaitAll()
			rounds := 1
			if long() {
				rounds = 5
			}
			for range rounds {
				for _, node := range u.nodes {
					node.end(syscall.SIGTERM)
					u.awaitAll() // while it is away
					up := u.front.count(" is UP")
					if err := node.start(); err != nil {
						t.Fatal(err)
					}
					if kind == HAProxy && !within(time.Minute, nil, func() bool { return u.front.count(" is UP") > up }) {
						t.Fatal("HAProxy does not see that the node is back")
					}
				}
			}
			u.awaitAll()
			u.judge()
		})
	}
}

// An upgrade is a service of two nodes, a front and clients.
type upgrade struct {
	t        *testing.T
	nodes    []*process
	front    *Front
	clients  *process
	journals string

	mu      sync.Mutex // guards what follows
	away    []time.Duration
	refused int // attempts, by the front
	faults  []string
}

const upgradeClients = 8

func startUpgrade(t *testing.T, kind *Kind) *upgrade {
	Need(t, kind.Program)
	u := &upgrade{t: t, journals: t.TempDir()}
	set, err := keys.GenerateSharedKeyset()
	must(err)
	keyset, err := set.MarshalCleartext(insecurecleartext.Token{})
	must(err)
	me, cert := identity(t, "nodes"), NewCert()
	it := task{Store: quickDir(t), Journals: u.journals, StoreKeys: keyset, Pace: 20 * time.Millisecond, Default: true}
	var addresses []string
	for range 2 {
		node := it
		node.Address, node.Identities, node.Drain = freeport.Address(t), [][]byte{clear(me)}, drainLead(kind)
		addresses = append(addresses, node.Address)
		u.nodes = append(u.nodes, u.process(node))
	}
	u.front = Start(t, kind, Setup{Services: addresses, Cert: cert})
	url, _ := u.front.Dial("")
	clients := it
	clients.Store, clients.Roots, clients.Server = quickDir(t), cert.RootPEM, me.Fingerprint().String()
	for i := range upgradeClients {
		clients.URLs = append(clients.URLs, url)
		clients.Identities = append(clients.Identities, clear(identity(t, fmt.Sprint(i))))
	}
	u.clients = u.process(clients)
	return u
}

// drainLead is how long a node says that it is going before it goes. nginx does not ask.
func drainLead(kind *Kind) time.Duration {
	if kind == Nginx {
		return 0
	}
	return 2500 * time.Millisecond
}

// count returns how often the front has written something down.
func (f *Front) count(text string) int { return strings.Count(f.Logs(), text) }

// quickDir is a directory whose disk is memory, where there is one: processes are
// killed here, not machines.
func quickDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "hopseal-test-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir + "/store"
}

func (u *upgrade) process(it task) *process {
	p := &process{task: it, told: u.heard}
	must(p.start())
	u.t.Cleanup(p.kill)
	return p
}

func (u *upgrade) heard(line string) {
	text, _ := strconv.Unquote(strings.TrimSpace(line))
	kind, rest, _ := strings.Cut(text, ": ")
	u.mu.Lock()
	defer u.mu.Unlock()
	switch ms, _ := strconv.Atoi(rest); kind {
	case "resumed":
		u.away = append(u.away, time.Duration(ms)*time.Millisecond)
	case "refused":
		u.refused++
	case "violation", "ended", "failed":
		u.faults = append(u.faults, text)
	}
}

// awaitAll waits until every client has received something more, and so has the other
// end of every session.
func (u *upgrade) awaitAll() {
	u.t.Helper()
	before := u.progress()
	if !within(time.Minute, nil, func() bool {
		now := u.progress()
		for name, last := range before {
			if now[name] < last+3 {
				return false
			}
		}
		return len(now) == 2*upgradeClients
	}) {
		u.judge()
		u.t.Fatal("the clients do not go on")
	}
}

// progress returns the number that each end of each session has received last.
func (u *upgrade) progress() map[string]uint64 {
	files, _ := filepath.Glob(filepath.Join(u.journals, "*"))
	last := map[string]uint64{}
	for _, name := range files {
		last[name] = journals(u.journals, filepath.Base(name))[fieldLast]
	}
	return last
}

// judge wants nothing lost or doubled, and hardly an attempt that the front has
// refused: it had a node for every client at every time. How long that takes depends on
// the machine: a second where it has nothing else to do.
func (u *upgrade) judge() {
	sayEnough(u.journals)
	if !within(time.Minute, nil, func() bool { return settled(u.journals) }) {
		u.t.Error("not everything has arrived")
	}
	u.clients.kill()
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, text := range u.faults {
		u.t.Error(text)
	}
	var slowest time.Duration
	for _, d := range u.away {
		slowest = max(slowest, d)
	}
	client, server := journals(u.journals, "client"), journals(u.journals, "server")
	lost, doubled := client[fieldLost]+server[fieldLost], client[fieldDoubled]+server[fieldDoubled]
	u.t.Logf("%d messages, %d lost, %d doubled; %d resumes, the slowest took %v; %d attempts refused", client[fieldLast]+server[fieldLast], lost, doubled, len(u.away), slowest, u.refused)
	if u.refused > 2 || lost+doubled > 0 { // one may meet a node that is just about to close its listener
		u.t.Error("that was no upgrade without downtime")
	}
}
