package main

import (
	"context"
	"fmt"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

type growth struct {
	client kubernetes.Interface
	disks  disks
	claims cache.Store
	queue  workqueue.TypedRateLimitingInterface[string]
}

// watchGrowth makes volumes larger when their claims ask for more, while they are in use.
func watchGrowth(ctx context.Context, client kubernetes.Interface, disks disks) error {
	informer := informers.NewSharedInformerFactory(client, 0).Core().V1().PersistentVolumeClaims().Informer()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	g := growth{client, disks, informer.GetStore(), queue}
	add := func(claim any) {
		if key, err := cache.MetaNamespaceKeyFunc(claim); err == nil {
			queue.Add(key)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    add,
		UpdateFunc: func(_, claim any) { add(claim) },
	})
	if err != nil {
		return err
	}
	go informer.Run(ctx.Done())
	go g.work(ctx)
	go func() { <-ctx.Done(); queue.ShutDown() }()
	return nil
}

func (g growth) work(ctx context.Context) {
	for {
		key, ended := g.queue.Get()
		if ended {
			return
		}
		if err := g.serve(ctx, key); err != nil {
			klog.ErrorS(err, "cannot grow the volume", "claim", key)
			g.queue.AddRateLimited(key)
		} else {
			g.queue.Forget(key)
		}
		g.queue.Done(key)
	}
}

func (g growth) serve(ctx context.Context, key string) error {
	found, exists, err := g.claims.GetByKey(key)
	if err != nil || !exists {
		return err
	}
	claim := found.(*core.PersistentVolumeClaim).DeepCopy()
	wanted, has := claim.Spec.Resources.Requests[core.ResourceStorage], claim.Status.Capacity[core.ResourceStorage]
	if claim.Status.Phase != core.ClaimBound || wanted.Cmp(has) <= 0 {
		return nil
	}
	volume, err := g.client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, meta.GetOptions{})
	if err != nil || volume.Annotations["pv.kubernetes.io/provisioned-by"] != provisionerName {
		return err
	}
	if err := g.disks.grow(ctx, volume.Name, wanted.Value()); err != nil {
		return err
	}
	volume.Spec.Capacity[core.ResourceStorage] = wanted
	if _, err := g.client.CoreV1().PersistentVolumes().Update(ctx, volume, meta.UpdateOptions{}); err != nil {
		return fmt.Errorf("cannot tell the size of %s: %w", volume.Name, err)
	}
	claim.Status.Capacity[core.ResourceStorage] = wanted
	if _, err := g.client.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(ctx, claim, meta.UpdateOptions{}); err != nil {
		return fmt.Errorf("cannot tell the size of the claim: %w", err)
	}
	klog.InfoS("grown", "claim", key, "size", wanted.String())
	return nil
}
