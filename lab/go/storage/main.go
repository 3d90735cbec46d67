// The lab's storage: volumes of exactly the asked size, which can be full, can grow, and can be written by everybody.
package main

import (
	"context"
	"flag"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const provisionerName = "redoubt.dev/lab"

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	folder := flag.String("folder", "", "where the volumes are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *kubeconfig, disks{folder: *folder}); err != nil {
		klog.Fatal(err)
	}
}

func run(ctx context.Context, kubeconfig string, disks disks) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := watchGrowth(ctx, client, disks); err != nil {
		return err
	}
	controller.NewProvisionController(ctx, client, provisionerName, provisioner{client, disks},
		controller.LeaderElection(false), controller.MetricsPort(0)).Run(ctx)
	return nil
}
