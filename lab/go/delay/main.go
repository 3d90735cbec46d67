// A slow cable: frames that arrive at one of two links leave by the other after a while. The kernel can do this itself
// (netem), but many are built without it.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A frame that was joined from many (GSO) has up to 64 KiB, and a header before it.
	frameMax = 1<<16 + 64
	// Frames on their way. Beyond that they are dropped, as by any switch.
	queueMax = 8192
)

type frame struct {
	due   time.Time
	bytes []byte
}

func main() {
	wait := flag.Duration("wait", 0, "how long a frame takes, each way")
	flag.Parse()
	if err := run(*wait, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(wait time.Duration, links []string) error {
	if len(links) != 2 {
		return fmt.Errorf("it takes two links, not %d", len(links))
	}
	var sockets [2]int
	for i, link := range links {
		socket, err := open(link)
		if err != nil {
			return fmt.Errorf("cannot open %s: %w", link, err)
		}
		sockets[i] = socket
	}
	failed := make(chan error, 4)
	for i := range sockets {
		queue := make(chan frame, queueMax)
		go func() { failed <- receive(sockets[i], wait, queue) }()
		go func() { failed <- send(sockets[1-i], queue) }()
	}
	return <-failed
}

// open gives all frames that arrive at a link, each behind a header that says what the kernel left to do: checksums, and
// cutting into pieces. Handed back with the frame, it gets done.
func open(link string) (int, error) {
	device, err := net.InterfaceByName(link)
	if err != nil {
		return 0, err
	}
	protocol := uint16(unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8)
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	for _, option := range []int{unix.PACKET_VNET_HDR, unix.PACKET_IGNORE_OUTGOING} {
		if err := unix.SetsockoptInt(socket, unix.SOL_PACKET, option, 1); err != nil {
			return 0, err
		}
	}
	return socket, unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: device.Index})
}

func receive(socket int, wait time.Duration, queue chan<- frame) error {
	buffer := make([]byte, frameMax)
	for {
		length, err := unix.Read(socket, buffer)
		if err == unix.EINTR || err == unix.ENETDOWN {
			continue // a link that is down may come up again
		}
		if err != nil {
			return fmt.Errorf("cannot receive: %w", err)
		}
		select {
		case queue <- frame{time.Now().Add(wait), append([]byte(nil), buffer[:length]...)}:
		default:
		}
	}
}

func send(socket int, queue <-chan frame) error {
	for next := range queue {
		time.Sleep(time.Until(next.due))
		// A frame that cannot leave now is lost, as on any cable: whoever sent it sends it again.
		if _, err := unix.Write(socket, next.bytes); err == unix.EBADF || err == unix.ENXIO {
			return fmt.Errorf("cannot send: %w", err)
		}
	}
	return nil
}
