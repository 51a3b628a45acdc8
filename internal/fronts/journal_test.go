//go:build unix

package fronts

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// A journal is what one end of a session remembers of it in whatever process it runs:
// the application's own notes, in a file that outlives a kill. It belongs to the run
// that has opened it last.
type journal struct {
	mu   sync.Mutex
	file *os.File
	run  uint64
	fail func(format string, args ...any) // is told of what must not be

	expect uint64 // number that has to come next, or 0 at the start of a run
	seen   [fields]uint64
}

// fields of a journal
const (
	fieldRun    = iota
	fieldIntent // the last number that was about to be sent
	fieldSent   // the last that a Send has returned nil for
	fieldLast   // the last number received
	fieldLastOf // the run of its sender
	fieldAgain  // numbers that came again at the start of a run, as they may
	fieldLost
	fieldDoubled
	fields
)

// openJournal begins a run of an end, and returns its first number and what it is to
// write behind it.
func openJournal(dir, session, end string, fail func(string, ...any)) (*journal, error) {
	file, err := os.OpenFile(filepath.Join(dir, session+"."+end), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file, fail: fail}
	err = j.change(func(f *[fields]uint64) { f[fieldRun]++; j.run = f[fieldRun] })
	return j, err
}

// change changes the file, for this process alone, unless another run has begun.
func (j *journal) change(do func(*[fields]uint64)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := syscall.Flock(int(j.file.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	defer syscall.Flock(int(j.file.Fd()), syscall.LOCK_UN)
	var b [8 * fields]byte
	j.file.ReadAt(b[:], 0) // as far as there is something
	for i := range fields {
		j.seen[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	if j.run != 0 && j.seen[fieldRun] != j.run {
		return fmt.Errorf("another run goes on with the session")
	}
	do(&j.seen)
	for i, n := range j.seen {
		binary.BigEndian.PutUint64(b[8*i:], n)
	}
	_, err := j.file.WriteAt(b[:], 0)
	return err
}

// next returns the number to send next. Where a process ended before it knew whether
// one was accepted it is sent again, in another run.
func (j *journal) next() (n uint64, err error) {
	err = j.change(func(f *[fields]uint64) { n = f[fieldSent] + 1; f[fieldIntent] = n })
	return n, err
}

// undecided reports whether the other end may have a message that no Send has returned nil
// for.
func (j *journal) undecided() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.seen[fieldIntent] > j.seen[fieldSent]
}

func (j *journal) sent(n uint64) error {
	return j.change(func(f *[fields]uint64) { f[fieldSent] = n })
}

// came counts a number in that the run of a sender has sent.
func (j *journal) came(n, run uint64) error {
	return j.change(func(f *[fields]uint64) {
		last := f[fieldLast]
		switch {
		case n == last+1:
		case n == last && run > f[fieldLastOf]: // its sender did not know
			f[fieldAgain]++
		case n <= last && (j.expect == 0 || n == j.expect): // this end was not known to be done with it
			f[fieldAgain]++
			j.expect = n + 1
			return
		case n > last:
			f[fieldLost] += n - last - 1
			j.fail("%s: message %d of run %d came behind %d of run %d", j.file.Name(), n, run, last, f[fieldLastOf])
		default:
			f[fieldDoubled]++
			j.fail("%s: message %d of run %d came behind %d of run %d, and %d was expected", j.file.Name(), n, run, last, f[fieldLastOf], j.expect)
			return
		}
		f[fieldLast], f[fieldLastOf] = n, run
		j.expect = n + 1
	})
}

func (j *journal) close() { j.file.Close() }

// enough is a file beside the journals that tells every process to send no more.
const enough = "enough"

func sayEnough(dir string) { must(os.WriteFile(filepath.Join(dir, enough), nil, 0o600)) }

func isEnough(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, enough))
	return err == nil
}

// settled reports whether everything that was sent has been received.
func settled(dir string) bool {
	client, server := journals(dir, "client"), journals(dir, "server")
	return client[fieldLast] == server[fieldSent] && server[fieldLast] == client[fieldSent] && client[fieldLast] > 0
}

// journals adds up the files of one kind of end.
func journals(dir, end string) (sum [fields]uint64) {
	files, _ := filepath.Glob(filepath.Join(dir, "*"+end))
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil || len(b) != 8*fields {
			continue
		}
		for i := range fields {
			sum[i] += binary.BigEndian.Uint64(b[8*i:])
		}
	}
	return sum
}
