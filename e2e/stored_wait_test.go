package e2e_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopseal/hopseal/e2e"
	"github.com/hopseal/hopseal/e2e/mux"
	"github.com/hopseal/hopseal/e2e/sessionstore"
)

// Messages of a session that is stored wait for others for longer than SendTimeout, as
// long as the other end takes one now and then. Nobody gives up on it.
func TestStoredSendsWaitForOneAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const many = 20
		var work sync.WaitGroup
		scfg, ccfg := hosting(bob, alice), stored(trusting(alice, bob), sessionstore.Memory())
		ccfg.StoreName, ccfg.SendTimeout = "slow", 2*time.Second
		scfg.Window, ccfg.Window = 64<<10, 64<<10
		r := &road{srv: newServer(t, scfg, func(ctx context.Context, s *e2e.Session) error {
			for {
				if _, err := s.Receive(ctx); err != nil {
					return err
				}
				time.Sleep(time.Second)
			}
		})}
		c := r.client(t, ccfg)
		for range many {
			work.Go(func() {
				if err := c.Send(context.Background(), make([]byte, 60_000)); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		c.Close()
	})
}

// A session ends between the look of a Send whether it has, and the number for what that
// sends. The Send returns all the same.
func TestStoredSendAtTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ccfg := stored(trusting(alice, bob), sessionstore.Memory())
		ccfg.StoreName = "end"
		r := &road{srv: newServer(t, hosting(bob, alice), echo)}
		c := r.client(t, ccfg)
		e2e.ForgetEngine(c)
		sent := make(chan error, 1)
		go func() { sent <- c.Send(context.Background(), []byte("late")) }()
		synctest.Wait()
		c.Close()
		synctest.Wait()
		select {
		case err := <-sent:
			if end := new(e2e.CloseError); !errors.As(err, &end) {
				t.Errorf("Send: %v, want a CloseError", err)
			}
		default:
			t.Fatal("Send still waits")
		}
	})
}

// Whoever serves a message when its server's program ends is followed by a program that
// serves again what came behind it, and answers again. That is no flood of answers.
func TestStoredServersAnswerAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := sessionstore.Memory()
		router := mux.New()
		router.Handle("upper", upper)
		router.Handle("slow", func(ctx context.Context, _ *e2e.Request) ([]byte, error) {
			<-ctx.Done()
			return nil, nil
		})
		nodes := []*e2e.Server{}
		for range 2 {
			nodes = append(nodes, newServer(t, stored(hosting(bob, alice), store), router.Serve))
		}
		r := &road{srv: nodes[0]}
		c := r.client(t, trusting(alice, bob))
		if _, err := c.SendMessage(t.Context(), "slow", nil); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			for range 3 {
				mustCall(t, c, "upper", "a", "A")
			}
			r.set(func(r *road) { r.srv = nodes[(i+1)%2] })
			r.cut()
		}
		mustCall(t, c, "upper", "b", "B")
		c.Close()
	})
}

// While the application works on a message of a session that is stored, and so asks for no
// other, somebody still reads what a Send waits for that began before.
func TestStoredSendBesideReceive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		scfg, ccfg := hosting(bob, alice), stored(trusting(alice, bob), sessionstore.Memory())
		ccfg.StoreName, ccfg.KeepAlive = "beside", -1
		scfg.Window, ccfg.Window = 64<<10, 64<<10
		r := &road{srv: newServer(t, scfg, func(ctx context.Context, s *e2e.Session) error {
			time.Sleep(time.Second)
			err := s.Send(ctx, []byte("work"))
			time.Sleep(time.Second)
			for err == nil {
				_, err = s.Receive(ctx)
			}
			return err
		})}
		c := r.client(t, ccfg)
		var work sync.WaitGroup
		for range 3 {
			work.Go(func() {
				if err := c.Send(context.Background(), make([]byte, 60_000)); err != nil {
					t.Error(err)
				}
			})
		}
		began := time.Now()
		mustReceive(t, c, "work")
		work.Wait()
		if waited := time.Since(began); waited > 5*time.Second {
			t.Errorf("the last Send took %v, want the 2 s after which there is room", waited)
		}
	})
}
