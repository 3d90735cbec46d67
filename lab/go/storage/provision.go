package main

import (
	"context"
	"fmt"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// affinityParameter of a storage class names the label of nodes that a volume is bound to: a zone's, or a host's.
const affinityParameter = "affinity"

type provisioner struct {
	client kubernetes.Interface
	disks  disks
}

// Provision makes the volume that a claim asks for.
func (p provisioner) Provision(ctx context.Context, options controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	affinity, err := p.affinity(ctx, options)
	if err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	size := options.PVC.Spec.Resources.Requests[core.ResourceStorage]
	if err := p.disks.create(ctx, options.PVName, size.Value()); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	directory := core.HostPathDirectory
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: options.PVName},
		Spec: core.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity:                      core.ResourceList{core.ResourceStorage: size},
			NodeAffinity:                  affinity,
			PersistentVolumeSource: core.PersistentVolumeSource{
				HostPath: &core.HostPathVolumeSource{Path: p.disks.path(options.PVName), Type: &directory},
			},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes the volume, with its data.
func (p provisioner) Delete(_ context.Context, volume *core.PersistentVolume) error {
	return p.disks.remove(volume.Name)
}

// affinity of the new volume; none where its class asks for none, for all nodes share the machine's disk.
func (p provisioner) affinity(ctx context.Context, options controller.ProvisionOptions) (*core.VolumeNodeAffinity, error) {
	label, wanted := options.StorageClass.Parameters[affinityParameter]
	if !wanted {
		return nil, nil
	}
	if options.SelectedNodeName == "" {
		return nil, fmt.Errorf("a volume of class %s is made where its first pod is: volumeBindingMode has to be WaitForFirstConsumer", options.StorageClass.Name)
	}
	node, err := p.client.CoreV1().Nodes().Get(ctx, options.SelectedNodeName, meta.GetOptions{})
	if err != nil {
		return nil, err
	}
	value, found := node.Labels[label]
	if !found {
		return nil, fmt.Errorf("node %s has no label %s, by which class %s binds its volumes", node.Name, label, options.StorageClass.Name)
	}
	term := core.NodeSelectorTerm{MatchExpressions: []core.NodeSelectorRequirement{
		{Key: label, Operator: core.NodeSelectorOpIn, Values: []string{value}},
	}}
	return &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{term}}}, nil
}
