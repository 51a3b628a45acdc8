//go:build unix

package keystore

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hopseal/hopseal/keys"
)

// The test of this file runs its own binary again as a sealer, and has it killed.
const (
	sealerStore = "HOPSEAL_TEST_SEALER_STORE" // makes the binary a sealer with this store
	sealerPoint = "HOPSEAL_TEST_SEALER_POINT" // that is killed at this point of a write
	sealerWrite = "HOPSEAL_TEST_SEALER_WRITE" // which is the one of this number

	killedBlock, killedLimit = 3, 36
)

func init() {
	if path := os.Getenv(sealerStore); path != "" {
		fmt.Println("error:", beSealer(path))
		os.Exit(1)
	}
}

// beSealer announces every message that it has sealed, until it is killed.
func beSealer(path string) error {
	sealBlock, sealLimit = killedBlock, killedLimit
	s, err := Open(context.Background(), path, passphrase)
	if err != nil {
		return err
	}
	point, write := os.Getenv(sealerPoint), 0
	if _, err := fmt.Sscan(os.Getenv(sealerWrite), &write); err != nil {
		return err
	}
	s.written = func(step string) {
		if step == "created" {
			write--
		}
		if write == 0 && step == point {
			die()
		}
	}
	set, _ := s.SharedKeyset("orders")
	for {
		if _, err := set.Primary().Seal(nil, []byte("m"), nil); err != nil {
			return err
		}
		if _, err := fmt.Println("sealed"); err != nil {
			return err
		}
	}
}

// A16, A19: killed at any point of a reservation, between the reservation and its
// use above all, again and again on one store: what was sealed was reserved before,
// and in all the processes together seal no more than the key may.
func TestA19KillBetweenReservationAndUse(t *testing.T) {
	lowered(t, killedBlock, killedLimit)
	s, _ := aesStore(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	points := []string{"directory synced", "created", "renamed", "written", "synced"}
	sealed, reserved := 0, uint64(0)
	for run := 0; ; run++ {
		point, write := points[run%len(points)], 1+run%3
		cmd := writer(t, s.path, fmt.Sprint(sealerStore, "=", s.path), fmt.Sprint(sealerPoint, "=", point), fmt.Sprint(sealerWrite, "=", write))
		cmd.Env = append(cmd.Env, writerStore+"=") // not the other kind
		out, _ := cmd.Output()
		sealed += bytes.Count(out, []byte("sealed\n"))
		got := reservedAfterKill(t, s.path)
		switch {
		case got < reserved || uint64(sealed) > got || got > killedLimit:
			t.Fatalf("run %d, killed at %q: %d sealed, %d reserved, %d before", run, point, sealed, got, reserved)
		case strings.Contains(string(out), keys.ErrSealLimit.Error()):
			if got != killedLimit || run < len(points) {
				t.Errorf("spent after %d runs with %d reserved", run, got)
			}
			return
		case strings.Contains(string(out), "error"):
			t.Fatalf("run %d: %s", run, out)
		case point == "directory synced" && got < reserved+uint64(write)*killedBlock && got < killedLimit:
			t.Fatalf("run %d: what was reserved last is not on disk: %d after %d", run, got, reserved)
		}
		reserved = got
	}
}

func reservedAfterKill(t *testing.T, path string) uint64 {
	t.Helper()
	s := openAfterKill(t, path)
	defer s.Close()
	return reservedOf(orders(t, s))[0]
}
