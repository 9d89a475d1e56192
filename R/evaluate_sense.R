#' Evaluate a trained network under attack
#'
#' Attacks test images, counts those that the network still classifies correctly, and checks for signs
#' that an attack failed. Options, defaults and results are those of `python -m sense.evaluate`.
#'
#' By default, PGD with 100 steps and 5 restarts attacks all test images, with the norm of the training and
#' its `eval_eps`, which is `eps` unless it was set. The results are saved in the folder of the fit if it
#' still contains the weights of the fit, otherwise in a temporary folder. If an evaluation is interrupted,
#' repeat the call to resume it. To add attacks to a finished evaluation, call the function with these
#' attacks. An evaluation with other options, such as another `eps`, is saved in a subfolder
#' (`evaluation-2` and so on), which [read_sense_evaluation()] reads too.
#'
#' @param fit A [sense_fit], or the folder of a run.
#' @param attacks Names of attacks: any of `"fgsm"`, `"pgd"`, `"margin-pgd"`, `"targeted-pgd"`,
#'   `"deepfool"`, `"deepfool-l2"`, `"autoattack"`, `"square"` and `"transfer"`. Default: `"pgd"`.
#'   `"natural"`, no attack, is always included.
#' @param eps Radius of the ball of perturbations, a number or a string such as `"8/255"`. Default:
#'   that of the training, or its `eval_eps` if it has one.
#' @param n Number of test images: the first `n`, or `n` drawn at random with the seed `draw`.
#'   Default: all.
#' @param ... Further options by name, as `python -m sense.evaluate --help` lists them, with `_` in
#'   place of `-`: `steps`, `restarts`, `step_size`, `norm` (`Inf`, 2
#'   or 1), `queries` (Square), `l2_eps` (DeepFool), `source` (transfer: another
#'   fit or run), `seed`, `draw`, `cascade`, `diagnostics`, `curve` (radii), and
#'   `convergence` (number of images whose loss is recorded at each step of PGD).
#' @param x,y Test images and their classes, as in [train_sense()]. Default: those of the data set
#'   of the fit. A fit that was trained on arrays needs them.
#' @param data_dir Folder of the data of the fit, if it was moved.
#' @param out Folder for the results. Default: the folder of the fit, see Details.
#' @param overwrite `TRUE` deletes the evaluation in the folder and starts again.
#' @param model `"module:factory"`, needed if the network of the fit comes from such a Python function.
#'   This runs the code of the module, so pass it only if you trust the module.
#' @param device,threads Device and number of CPU threads, as in [sense_control()].
#' @param quiet `TRUE` prints no progress. Default: one line per attack, as in [sense_control()].
#' @return A [sense_evaluation], plain R data.
#' @examples
#' if (sense_available()) {
#'   # A stored network, few images and few steps. A real evaluation takes more of both.
#'   run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
#'   evaluation <- evaluate_sense(
#'     run, c("fgsm", "pgd"), n = 50, steps = 5, restarts = 1, diagnostics = FALSE,
#'     curve = c(0, 0.1, 0.2), out = file.path(tempdir(), "evaluation")
#'   )
#'   evaluation
#'   autoplot(evaluation)
#'   autoplot(evaluation, "curve")
#' }
#' @family functions to evaluate
#' @export
evaluate_sense <- function(fit, attacks = NULL, eps = NULL, n = NULL, ...,
                           x = NULL, y = NULL, data_dir = NULL, out = NULL, overwrite = FALSE,
                           model = NULL, device = NULL, threads = NULL, quiet = FALSE) {
  fit <- as_fit(fit)
  check_path(out)
  check_path(data_dir)
  options <- evaluation_options(attacks = attacks, eps = eps, n = n, ...)
  folder <- out %||% own_folder(fit) %||% tempfile("sense-evaluation-")
  result <- call_evaluation(
    "evaluate", fit, options,
    images = test_images(fit, x, y), data_dir = data_dir, out = path.expand(folder),
    free_folder = is.null(out), overwrite = check_flag(overwrite), model = check_string(model, allow_null = TRUE),
    device = check_string(device, allow_null = TRUE), threads = check_count(threads, allow_null = TRUE),
    on_line = progress_lines(check_flag(quiet)),
    metrics = collapsed_metrics(fit$metrics),
    command = command_text(sys.call(), "evaluate_sense")
  )
  if (result$stopped) {
    abort(
      c(
        "The evaluation was interrupted.",
        i = "To resume it, repeat the same call with {.code out = \"{result$folder}\"}."
      ),
      class = "sense_stopped"
    )
  }
  as_evaluation(native_path(result$folder), level = 0.95)
}

# The epochs of a training that collapsed, one list each; NULL for any other training.
collapsed_metrics <- function(metrics) {
  if (!any(!is.na(metrics$collapse))) {
    return(NULL)
  }
  names <- c("epoch", "kept_epoch", "monitored", "robust_correct", "trained_eps_correct", "one_step_correct", "collapse")
  columns <- metrics[intersect(names, names(metrics))]
  lapply(seq_len(nrow(columns)), function(i) Filter(Negate(is.na), as.list(columns[i, ])))
}

as_fit <- function(fit, call = parent.frame()) {
  if (inherits(fit, "sense_fit")) {
    return(fit)
  }
  if (!is_string(fit)) {
    abort(
      "{.arg fit} must be a result of {.fun train_sense}, or the folder of a run, not {.cls {class(fit)}}.",
      call = call
    )
  }
  read_sense_fit(fit)
}

# The options that are set: several attacks or radii as lists, another fit as its folder.
evaluation_options <- function(..., call = parent.frame()) {
  options <- named_dots(..., .call = call)
  if (inherits(options$source, "sense_fit")) {
    options$source <- own_folder(options$source)
    if (is.null(options$source)) {
      abort("The folder of {.arg source} no longer holds this network: give the folder of a run.", call = call)
    }
  }
  as_options(options, call)
}

# The folder of a fit, if it still holds these weights.
own_folder <- function(fit) {
  if (!is_string(fit$folder) || !run_has(fit$folder, "model.safetensors")) {
    return(NULL)
  }
  there <- tryCatch(read_run(fit$folder, "model.safetensors"), rlang_error = function(e) NULL)
  if (identical(there, fit$weights)) fit$folder
}

# The user's own test images with labels counted from 0, or NULL for those of the fit's data set.
test_images <- function(fit, x, y, call = parent.frame()) {
  what <- kind_of_inputs(fit)
  if (is.null(x)) {
    if (!is.null(y)) abort("Give {.arg x} too: {.arg y} alone has no {what}.", call = call)
    check_own_data(fit, cli::format_inline("test {what} and classes as {.arg x} and {.arg y}"), call)
    return(NULL)
  }
  x <- as_inputs(x, fit, "x", call)
  y <- known_classes(y, fit$data$classes, nrow(x), "y", call, what)
  list(x_test = x, y_test = as.integer(y) - 1L)
}

# Refuse a fit without data of its own: those that were passed to train_sense() are not stored.
check_own_data <- function(fit, instead, call = parent.frame()) {
  if (fit$config$dataset %in% c("arrays", "table")) {
    data <- if (has_features(fit)) "a table" else "arrays"
    abort("This fit was trained on {data}, which it does not store: give {instead}.", call = call)
  }
}

# Call a task of Python that takes a fit.
call_evaluation <- function(task, fit, options, ..., call = parent.frame()) {
  check_sums(fit, "fit", call)
  call_python(task, drop_null(c(
    list(
      description = fit$description, weights = fit$weights, options = options,
      cache_dir = tools::R_user_dir("sense", "cache"), name = basename(fit$folder %||% "fit")
    ),
    list(...)
  )), call)
}
