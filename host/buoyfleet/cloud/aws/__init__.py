"""Target `aws`: a pipeline in an AWS account, by boto3."""
