//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// errElsewhere is for what somebody may have put there to be given it.
var errElsewhere = errors.New("it is no regular file, or has another name: it is not given away")

func keepOwner(f *os.File, like fs.FileInfo, mode fs.FileMode) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	have, want := info.Sys().(*syscall.Stat_t), like.Sys().(*syscall.Stat_t)
	if have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	if !info.Mode().IsRegular() || have.Nlink != 1 {
		return errElsewhere
	}
	err = f.Chown(int(want.Uid), int(want.Gid))
	if err == nil || have.Uid == want.Uid && mode&0o070 == 0 {
		return nil
	}
	return &OwnerError{want.Uid, want.Gid, err}
}

// Foreign reports whether a file belongs to another user than this process's.
func Foreign(info fs.FileInfo) bool {
	return int(info.Sys().(*syscall.Stat_t).Uid) != os.Geteuid()
}
