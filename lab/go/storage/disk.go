package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// disks are files with a file system, mounted beside themselves: NAME.img at NAME. The loop device of a file is the
// kernel's to free when the file is unmounted, or when the lab's last process ends. They are not kept in memory, for
// memory would be counted as that of the pod that writes there.
type disks struct {
	folder string
}

func (d disks) image(name string) string { return filepath.Join(d.folder, name+".img") }
func (d disks) path(name string) string  { return filepath.Join(d.folder, name) }

// create makes a disk and mounts it. Cut off at any point, it can be done again.
func (d disks) create(ctx context.Context, name string, bytes int64) error {
	if mounted, err := d.mounted(name); mounted || err != nil {
		return err
	}
	if err := sized(d.image(name), bytes); err != nil {
		return err
	}
	// XFS grows while it is mounted, as ext4 does, but without CAP_SYS_RESOURCE, which containers often lack. It is asked
	// for disks below 300 MB in the words of its own tests; such disks serve here.
	if err := call(ctx, "mkfs.xfs", "-q", "-f", "-d", "agcount=1", "--unsupported", d.image(name)); err != nil {
		return err
	}
	if err := os.MkdirAll(d.path(name), 0o755); err != nil {
		return err
	}
	if err := call(ctx, "mount", "-o", "loop", d.image(name), d.path(name)); err != nil {
		return err
	}
	return os.Chmod(d.path(name), 0o777)
}

// grow makes a mounted disk larger.
func (d disks) grow(ctx context.Context, name string, bytes int64) error {
	if err := sized(d.image(name), bytes); err != nil {
		return err
	}
	device, err := output(ctx, "losetup", "--noheadings", "--output", "NAME", "--associated", d.image(name))
	if err != nil {
		return err
	}
	if device == "" {
		return fmt.Errorf("the disk of %s is not mounted", name)
	}
	if err := call(ctx, "losetup", "--set-capacity", device); err != nil {
		return err
	}
	return call(ctx, "xfs_growfs", d.path(name))
}

// remove unmounts a disk and gives its space back. A disk that is gone is no error.
func (d disks) remove(name string) error {
	mounted, err := d.mounted(name)
	if err != nil {
		return err
	}
	if mounted {
		if err := unix.Unmount(d.path(name), 0); err != nil {
			return fmt.Errorf("cannot unmount %s: %w", d.path(name), err)
		}
	}
	return errors.Join(gone(os.Remove(d.path(name))), gone(os.Remove(d.image(name))))
}

// mounted tells a mount point by its device, which is not that of the folder above it.
func (d disks) mounted(name string) (bool, error) {
	var here, above unix.Stat_t
	if err := unix.Stat(d.path(name), &here); err != nil {
		return false, gone(err)
	}
	if err := unix.Stat(d.folder, &above); err != nil {
		return false, err
	}
	return here.Dev != above.Dev, nil
}

// sized makes a file that is at least so long; what is not written takes no space.
func sized(path string, bytes int64) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() >= bytes {
		return err
	}
	return file.Truncate(bytes)
}

func gone(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func call(ctx context.Context, program string, arguments ...string) error {
	_, err := output(ctx, program, arguments...)
	return err
}

func output(ctx context.Context, program string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, program, arguments...)
	said := &strings.Builder{}
	command.Stderr = said
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s failed: %w: %s", command, err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
