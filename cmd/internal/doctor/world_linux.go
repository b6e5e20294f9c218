package doctor

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

const goos = "linux"

// untold are file systems on which files change without an event: on other
// machines, or on the other side of a virtual one. The numbers are those of
// statfs(2) and linux/magic.h.
var untold = map[uint32]string{
	unix.NFS_SUPER_MAGIC: "nfs", unix.SMB_SUPER_MAGIC: "smb", unix.SMB2_SUPER_MAGIC: "smb", unix.CIFS_SUPER_MAGIC: "cifs",
	unix.V9FS_MAGIC: "9p", unix.FUSE_SUPER_MAGIC: "fuse", unix.AFS_SUPER_MAGIC: "afs", unix.CEPH_SUPER_MAGIC: "ceph",
	unix.CODA_SUPER_MAGIC: "coda", 0x786f4256: "vboxsf",
}

func fileSystem(path string) (FileSystem, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return FileSystem{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return FileSystem{
		Name: untold[uint32(st.Type)], NoExec: uint64(st.Flags)&unix.MS_NOEXEC != 0, Free: st.Bavail * uint64(st.Bsize),
	}, nil
}

// watches counts the inotify descriptors of this user's processes, and the
// watches of each: /proc/PID/fdinfo has a line for every one (proc(5)).
func watches() Watches {
	var in Watches
	processes, _ := os.ReadDir("/proc")
	for _, p := range processes {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		info, err := p.Info()
		if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != os.Getuid() {
			continue
		}
		dir := filepath.Join("/proc", p.Name(), "fd")
		open, _ := os.ReadDir(dir)
		for _, fd := range open {
			if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err != nil || to != "anon_inode:inotify" {
				continue
			}
			in.Instances++
			data, _ := os.ReadFile(filepath.Join("/proc", p.Name(), "fdinfo", fd.Name()))
			in.Watches += bytes.Count(data, []byte("inotify wd:"))
		}
	}
	return in
}
