"""Archives: many videos, on many cores or machines, from and into any storage.

    from rpstn.cluster.infer_job import InferJob
    from rpstn.cluster.run import Archive, run_archive
    from rpstn.inference.options import InferOptions

    archive = Archive(['s3://club/videos/'], 's3://club/joints', workers=8)
    run_archive(InferJob(InferOptions((), save=['csv'])), archive)

Ray carries the work (:mod:`.pool`), fsspec reaches the storage (:mod:`.storage`), Arrow holds the
tables (:mod:`.manifest`). They come with ``pip install 'rpstn[cluster]'``, and are imported when
something is asked of them.
"""
