//go:build unix

package servertls

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A layout puts the n-th pair in the place of the server's files, in the same way as a
// common program.
type layout func(f folder, n int, i *issued) error

var layouts = map[string]struct {
	put layout
	at  Pair // below the folder
}{
	"certbot":    {certbot, Pair{Cert: "live/fullchain.pem", Key: "live/privkey.pem"}},
	"kubernetes": {kubernetes, Pair{Cert: "tls.crt", Key: "tls.key"}},
	"overwrite":  {overwrite, Pair{Cert: "tls.crt", Key: "tls.key"}},
	"rename":     {rename, Pair{Cert: "tls.crt", Key: "tls.key"}},
}

// certbot keeps every pair and moves two links. Each link is missing for a moment.
func certbot(f folder, n int, i *issued) error {
	for name, content := range map[string][]byte{"privkey": i.key, "fullchain": i.cert} {
		kept := f.file(fmt.Sprintf("archive/%s%d.pem", name, n))
		link := f.file("live/" + name + ".pem")
		err := firstError(
			os.MkdirAll(filepath.Dir(kept), 0o700), os.MkdirAll(filepath.Dir(link), 0o700),
			os.WriteFile(kept, content, 0o600))
		if err != nil {
			return err
		}
		os.Remove(link)
		if err := os.Symlink(fmt.Sprintf("../archive/%s%d.pem", name, n), link); err != nil {
			return err
		}
	}
	return nil
}

// kubernetes swaps the one link to the folder of both files, then removes the old folder,
// as its kubelet does with a mounted secret.
func kubernetes(f folder, n int, i *issued) error {
	version := fmt.Sprintf("..version_%d", n)
	old, _ := os.Readlink(f.file("..data"))
	err := firstError(
		os.Mkdir(f.file(version), 0o700),
		os.WriteFile(f.file(version+"/tls.crt"), i.cert, 0o600),
		os.WriteFile(f.file(version+"/tls.key"), i.key, 0o600),
		os.Symlink(version, f.file("..data_tmp")))
	if err == nil {
		err = os.Rename(f.file("..data_tmp"), f.file("..data"))
	}
	if err == nil && n == 0 {
		return firstError(os.Symlink("..data/tls.crt", f.file("tls.crt")), os.Symlink("..data/tls.key", f.file("tls.key")))
	}
	if err == nil {
		err = os.RemoveAll(f.file(old))
	}
	return err
}

// overwrite empties the files and fills them in small steps.
func overwrite(f folder, _ int, i *issued) error {
	for name, content := range map[string][]byte{"tls.crt": i.cert, "tls.key": i.key} {
		file, err := os.Create(f.file(name))
		if err != nil {
			return err
		}
		for part := content; len(part) > 0; {
			n, err := file.Write(part[:min(100, len(part))])
			if err != nil {
				return err
			}
			part = part[n:]
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

// rename replaces file by file, as editors and careful programs do.
func rename(f folder, _ int, i *issued) error {
	for name, content := range map[string][]byte{"tls.crt": i.cert, "tls.key": i.key} {
		err := firstError(os.WriteFile(f.file(name+"~"), content, 0o600), os.Rename(f.file(name+"~"), f.file(name)))
		if err != nil {
			return err
		}
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestSwapUnderLoad replaces a pair again and again. Meanwhile some thousands of clients
// connect, and others keep one connection throughout. Every request has to succeed, and a
// client that connects after the event of a new certificate must not see an older one.
func TestSwapUnderLoad(t *testing.T) {
	const swaps, workers = 20, 8
	visits := 500
	if os.Getenv("HOPSEAL_LONG_TESTS") != "" {
		visits = 5000
	}
	for name, layout := range layouts {
		t.Run(name, func(t *testing.T) {
			ca, files := newAuthority(), newFolder(t)
			if err := layout.put(files, 0, ca.issue(nil)); err != nil {
				t.Fatal(err)
			}
			loaded := make(chan struct{}, 1000)
			w := watch(t, Options{
				Pairs:    []Pair{{Cert: files.file(layout.at.Cert), Key: files.file(layout.at.Key), Names: []string{"localhost"}}},
				Interval: 2 * time.Millisecond,
				Notify: func(e Event) {
					if e.Kind == Loaded {
						loaded <- struct{}{}
					}
				},
			})
			<-loaded
			address := serveHTTP(t, w, http.HandlerFunc(answerOK))

			var stayers []*stayer
			for range workers {
				stayers = append(stayers, newStayer(t, ca, address))
			}
			var newest atomic.Int64 // serial of the last certificate that is in use for sure
			over, visited := make(chan struct{}), make(chan struct{}, visits)
			var load sync.WaitGroup
			for range workers {
				load.Go(func() {
					for !closed(over) {
						floor := newest.Load()
						serial, err := get(&http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool(), ServerName: "localhost"}, DisableKeepAlives: true}, "https://"+address)
						if err != nil || serial < floor {
							t.Errorf("certificate %d was shown when %d was in use, error %v", serial, floor, err)
						}
						select {
						case visited <- struct{}{}:
						case <-over:
						}
					}
				})
			}
			for n := range swaps {
				next := ca.issue(nil)
				if err := layout.put(files, n+1, next); err != nil {
					t.Error(err)
					break
				}
				<-loaded
				newest.Store(next.serial)
				for range visits / swaps {
					<-visited
				}
				for _, s := range stayers {
					if err := s.ask(); err != nil {
						t.Errorf("a connection from before: %v", err)
					}
				}
			}
			close(over)
			load.Wait()
		})
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A stayer makes requests on one connection. (An http.Transport sometimes changes its
// connection when the machine is slow.)
type stayer struct {
	conn *tls.Conn
	in   *bufio.Reader
}

func newStayer(t *testing.T, ca *authority, address string) *stayer {
	conn := must(tls.Dial("tcp", address, &tls.Config{RootCAs: ca.pool(), ServerName: "localhost"}))
	t.Cleanup(func() { conn.Close() })
	return &stayer{conn, bufio.NewReader(conn)}
}

func (s *stayer) ask() error {
	if _, err := io.WriteString(s.conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return err
	}
	return checkBody(resp)
}

func checkBody(resp *http.Response) error {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && string(body) != strconv.Itoa(http.StatusOK) {
		err = fmt.Errorf("body %q", body)
	}
	return err
}

// get returns the serial of the server's certificate.
func get(transport *http.Transport, url string) (int64, error) {
	resp, err := transport.RoundTrip(must(http.NewRequest("GET", url, nil)))
	if err != nil {
		return 0, err
	}
	return serialOf(*resp.TLS), checkBody(resp)
}
