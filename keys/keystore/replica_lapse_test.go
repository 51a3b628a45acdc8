package keystore

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/keys"
)

// A replica whose writer has stopped tells before it is too late, each notice once, and nothing
// while the writer does its work.
func TestReplicaTellsThatItsWriterHasStopped(t *testing.T) {
	cheap(t)
	synctest.Test(t, func(t *testing.T) {
		s, path := newStore(t)
		r, err := OpenReplica(t.Context(), path, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		writing, stop := context.WithCancel(t.Context())
		wrote := make(chan error, 1)
		go func() { // as Run does, which looks every minute: that takes the test seconds
			for writing.Err() == nil {
				if _, err := s.Rotate(RotationPolicy{}); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour)
			}
			wrote <- nil
		}()
		following, end := context.WithCancel(t.Context())
		var mu sync.Mutex // guards told
		var told []error
		followed := make(chan error, 1)
		go func() {
			followed <- r.Run(following, time.Hour, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, err)
			})
		}()
		time.Sleep(31 * 24 * time.Hour) // longer than a statement lives
		stop()
		<-wrote
		mu.Lock()
		if len(told) != 0 {
			t.Errorf("with a writer: %v", told)
		}
		mu.Unlock()
		time.Sleep(31 * 24 * time.Hour)
		end()
		<-followed
		if len(told) != 4 {
			t.Fatalf("without a writer: %v", told)
		}
		for i, want := range []string{"expires in 7 days, at ", "expires in 3 days, at ", "expires in 1 day, at ", "expired at "} {
			kind := ErrExpiring
			if i == 3 {
				kind = keys.ErrExpired
			}
			if !errors.Is(told[i], kind) || !strings.Contains(told[i].Error(), want) || !strings.Contains(told[i].Error(), path) {
				t.Errorf("%v, want %q", told[i], want)
			}
		}
	})
}
