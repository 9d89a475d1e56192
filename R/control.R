#' Where and how a run is computed
#'
#' Options of [train_sense()] that do not belong to the method: the folder of the run, device, threads,
#' seed, monitoring and output. The defaults are those of `python -m sense.train`, except for `out`.
#'
#' @param out New folder for the run. It receives the options, the metrics of each epoch, a checkpoint
#'   and the weights, which `python -m sense.evaluate` reads too. Default: a temporary folder.
#' @param resume Folder of a run to resume with its own options. Images that were passed as arrays must
#'   be passed again.
#' @param device `"auto"` (default: a GPU if there is one), `"cpu"`, `"cuda"` and others of torch.
#' @param threads Number of CPU threads. Default: all cores. In a forked process of R, such as those of
#'   `parallel::mclapply()`, torch can only use one.
#' @param seed Seed of the initial weights, the order of the images and random starts: a whole number
#'   of at least 0. Default: 1.
#' @param monitor_size Number of training images on which accuracy is measured after each epoch, if no
#'   images are held out for validation. Default: 256.
#' @param quiet `TRUE` prints no progress. Default: one line per epoch, with the time that is left; none in
#'   a document of knitr. The lines are messages of class `sense_progress`.
#' @return An object of class `sense_control`. Printing it shows the options that were set.
#' @examples
#' sense_control(threads = 2, seed = 7)
#' @family functions to train
#' @export
sense_control <- function(out = NULL, resume = NULL, device = NULL, threads = NULL,
                          seed = NULL, monitor_size = NULL, quiet = FALSE) {
  check_path(out)
  check_path(resume)
  if (!is.null(out) && !is.null(resume)) {
    abort("Give {.arg out} for a new run or {.arg resume} for one to resume, not both.")
  }
  device <- check_string(device, allow_null = TRUE)
  quiet <- check_flag(quiet)
  structure(
    list(
      out = out, resume = resume, quiet = quiet,
      options = drop_null(list(
        device = device,
        threads = check_count(threads, allow_null = TRUE),
        seed = check_count(seed, min = 0, max = 2^32 - 1, allow_null = TRUE),
        monitor_size = check_count(monitor_size, allow_null = TRUE)
      ))
    ),
    class = "sense_control"
  )
}

#' @export
print.sense_control <- function(x, ...) {
  set <- drop_null(c(x[c("out", "resume")], x$options, list(quiet = if (x$quiet) TRUE)))
  cat("<sense_control>", if (length(set)) "" else " all by default", "\n", sep = "")
  for (name in names(set)) cat("  ", name, ": ", format(set[[name]]), "\n", sep = "")
  invisible(x)
}

drop_null <- function(x) x[!vapply(x, is.null, logical(1))]
