#' Export a trained network
#'
#' Writes the network of a fit to a file that needs neither this package nor its code, for use in other
#' programs: ONNX, or the format of `torch.export`. The exported network takes pixels from 0 to 1 in the
#' order image, channel, row, column, and returns logits. Before the file is written, its logits are
#' compared with those of the network on up to 100 test images.
#'
#' @param fit A [sense_fit], or the folder of a run.
#' @param file The file: a name that ends in `.onnx` (which needs the Python packages onnx and
#'   onnxscript) or in `.pt2`.
#' @param x Images for the comparison, as in [train_sense()]. Default: the test images of the data set
#'   of the fit. A fit that was trained on arrays needs them.
#' @param data_dir Folder of the data of the fit, if it was moved.
#' @param overwrite `TRUE` replaces a file that exists.
#' @param model `"module:factory"`, as in [evaluate_sense()].
#' @return A list, invisibly: `file`, `largest_difference` (of a logit), `images` (their number).
#' @seealso [train_sense()], [evaluate_sense()].
#' @examples
#' if (sense_available()) {
#'   run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
#'   export_sense(run, tempfile(fileext = ".pt2"))
#' }
#' @family functions of run folders
#' @export
export_sense <- function(fit, file, x = NULL, data_dir = NULL, overwrite = FALSE, model = NULL) {
  fit <- as_fit(fit)
  check_string(file)
  check_path(data_dir)
  check_flag(overwrite)
  check_string(model, allow_null = TRUE)
  if (is.null(x) && identical(fit$config$dataset, "arrays")) {
    abort("This fit was trained on arrays, which it does not store: give test images as {.arg x}.")
  }
  check_sums(fit, "fit")
  done <- call_python("export", drop_null(list(
    description = fit$description, weights = fit$weights, file = path.expand(file),
    x = if (!is.null(x)) as_image_array(x, "x"), data_dir = data_dir,
    cache_dir = tools::R_user_dir("sense", "cache"), name = basename(fit$folder %||% "fit"),
    model = model, overwrite = overwrite
  )))
  cli::cli_inform("{done$text}")
  invisible(list(file = file, largest_difference = done$largest_difference, images = done$images))
}
