#!/usr/bin/env bash
# Uploads the image, registers the AMI and launches an instance of it.
# Usage: 5-launch.sh <instance profile> <subnet> <security group> [instance type]
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname -- "$0")/common.sh"
need tee-ami
if [ $# -lt 3 ]; then
  echo "usage: $0 <instance profile> <subnet> <security group> [instance type]" >&2
  exit 2
fi

made=$(tee-ami create "$example/result/nginx-kms_1.raw" --name "nginx-kms-$(date +%s)" \
  --manifest "$example/result/manifest.json" --json)
ami=$(node -p 'JSON.parse(process.argv[1]).imageId' "$made")
echo "$ami" >&2
aws ec2 run-instances --image-id "$ami" --instance-type "${4:-m6i.large}" \
  --iam-instance-profile "Name=$1" --subnet-id "$2" --security-group-ids "$3" \
  --metadata-options HttpTokens=required,HttpEndpoint=enabled,HttpProtocolIpv6=enabled \
  --query 'Instances[0].InstanceId' --output text
