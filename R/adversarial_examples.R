#' Adversarial examples of the first test images
#'
#' Attacks the first test images and returns them. `autoplot()` shows each image, its perturbation and
#' the attacked image, with the predictions of the network, like the paper's figure 1. The images are
#' the first ones of the test set, not selected; failed attacks are shown too.
#'
#' @param fit A [sense_fit], or the folder of a run. A folder with stored examples, which
#'   `python -m sense.report` writes, needs no Python.
#' @param n Number of images. Default: 5, or all if these are fewer, or all stored examples.
#' @param attack Name of the attack, as in [evaluate_sense()]. Default: `"pgd"`.
#' @param ... Further options of the attack by name, as in [evaluate_sense()].
#' @param x,y,data_dir,model,device,threads As in [evaluate_sense()]. In `print()`, `x` is the result
#'   of `adversarial_examples()`, and `n` is the largest number of images shown.
#' @param object The result of `adversarial_examples()`.
#' @return A list of class `sense_examples`, plain R data: `table`, a data frame with a row for each
#'   image: `image` (counted from 0), `class`, `prediction` and its `probability`, and the same for the
#'   attacked image, `attacked` and `attacked_probability`; `x` and `x_adv`, arrays n x height x
#'   width x channels of pixels from 0 to 1; `attack`, its options.
#' @examples
#' if (sense_available()) {
#'   run <- system.file("extdata", "mnist-demo", "sense", package = "sense")
#'   examples <- adversarial_examples(run, n = 2, steps = 5, restarts = 1)
#'   examples
#'   autoplot(examples)
#' }
#' @family functions to evaluate
#' @export
adversarial_examples <- function(fit, n = NULL, attack = NULL, ..., x = NULL, y = NULL,
                                 data_dir = NULL, model = NULL, device = NULL, threads = NULL) {
  check_path(data_dir)
  options <- evaluation_options(attacks = attack, ...)
  by_default <- is.null(n) && !length(options) && is.null(x)
  found <- if (by_default && is_string(fit)) read_run_unzipped(fit, "examples.json")
  if (!is.null(found)) {
    stored <- parse_json_text(as_text(found$bytes, found$path), found$path, simplify = TRUE)
    return(tryCatch(as_examples(stored), error = function(e) {
      damaged(file.path(fit, "examples.json"), first_line(e))
    }))
  }
  fit <- as_fit(fit)
  as_examples(call_evaluation(
    "adversarial_examples", fit, options,
    images = test_images(fit, x, y), data_dir = data_dir, n = check_count(n, allow_null = TRUE),
    model = check_string(model, allow_null = TRUE), device = check_string(device, allow_null = TRUE),
    threads = check_count(threads, allow_null = TRUE)
  ))
}

#' @rdname adversarial_examples
#' @export
print.sense_examples <- function(x, n = 10, ...) {
  total <- nrow(x$table)
  of_table <- is.matrix(x$x)
  what <- if (of_table) "row" else "image"
  cat(sprintf(
    "<sense_examples> %d %s%s of %s, %s; %s, %s\n", total, what, if (total == 1) "" else "s",
    paste(dim(x$x)[-1], collapse = " x "), x$model, x$attack$label, describe_ball(x$attack)
  ))
  shown <- utils::head(x$table, n)
  print_cells(data.frame(
    image = shown$image, class = shown$class,
    prediction = sprintf("%s (%.0f %%)", shown$prediction, 100 * shown$probability),
    attacked = sprintf("%s (%.0f %%)", shown$attacked, 100 * shown$attacked_probability),
    result = attack_results(shown)
  ))
  if (total > n) cat(sprintf("%d more %ss. ", total - n, what))
  cat(if (of_table) "The features are in $x and $x_adv.\n" else "The pixels are in $x and $x_adv; autoplot() draws them.\n")
  invisible(x)
}

# From Python's result, whose rows of pixels are in the order channels, height, width.
as_examples <- function(plain) {
  shape <- unlist(plain$shape)
  stopifnot(length(shape) %in% c(1, 3), length(plain$x) > 0, length(plain$images) > 0)
  inputs <- function(rows) {
    if (length(shape) == 3) pixel_array(rows, shape) else feature_rows(rows, unlist(plain$features))
  }
  column <- function(name) unlist(plain$images[[name]])
  classes <- unlist(plain$classes)
  structure(
    list(
      table = data.frame(
        image = as.integer(column("image")), class = classes[column("label") + 1],
        prediction = classes[column("prediction") + 1], probability = column("probability"),
        attacked = classes[column("attacked") + 1],
        attacked_probability = column("attacked_probability")
      ),
      x = inputs(plain$x), x_adv = inputs(plain$x_adv),
      attack = plain$attack, model = plain$model, weights_sha256 = plain$weights_sha256
    ),
    class = "sense_examples"
  )
}

feature_rows <- function(rows, names) {
  if (!is.matrix(rows)) rows <- do.call(rbind, lapply(rows, unlist))
  stopifnot(ncol(rows) == length(names))
  colnames(rows) <- names
  rows
}

pixel_array <- function(rows, shape) {
  n <- if (is.matrix(rows)) nrow(rows) else length(rows)
  flat <- if (is.matrix(rows)) as.vector(t(rows)) else unlist(rows)
  # Python's last index varies fastest, R's first.
  aperm(array(flat, c(rev(shape), n)), c(4, 2, 1, 3))
}

#' @rdname adversarial_examples
#' @export
autoplot.sense_examples <- function(object, ...) {
  if (is.matrix(object$x)) {
    abort("Rows of a table have no picture: compare {.code object$x} with {.code object$x_adv}.")
  }
  n <- nrow(object$table)
  shown <- do.call(rbind, lapply(seq_len(n), function(i) picture_rows(object, i)))
  shown$panel <- factor(shown$panel, picture_panels(object))
  ggplot2::ggplot(shown, ggplot2::aes(.data$column, -.data$row, fill = .data$colour)) +
    ggplot2::geom_raster() +
    ggplot2::scale_fill_identity() +
    ggplot2::facet_wrap(
      ggplot2::vars(.data$panel), ncol = n,
      labeller = ggplot2::as_labeller(function(panel) sub("^[^|]*\\|", "", panel))
    ) +
    ggplot2::coord_equal(expand = FALSE) +
    wrapped_caption(
      sprintf(
        "%s; %s, %s. The first %d test images, not selected. Rows: the image; its perturbation, %s; their sum. Above each image: the predicted class and its probability.",
        object$model, object$attack$label, describe_ball(object$attack), n, scale_words(object)
      ),
      width = min(100, 20 * max(n, 3))
    ) +
    ggplot2::theme_void() +
    ggplot2::theme(
      plot.background = ggplot2::element_rect(fill = "white", colour = NA),
      strip.text = ggplot2::element_text(size = 8, margin = ggplot2::margin(2, 0, 2, 0)),
      strip.clip = "off", # a heading may be wider than a small image
      panel.spacing = ggplot2::unit(4, "pt"),
      plot.caption = ggplot2::element_text(hjust = 0, size = 8.5),
      plot.caption.position = "plot",
      plot.margin = ggplot2::margin(4, 4, 4, 4)
    )
}

# The three pictures of an image, a row per pixel.
picture_rows <- function(object, i) {
  x <- object$x[i, , , , drop = FALSE]
  x_adv <- object$x_adv[i, , , , drop = FALSE]
  pictures <- list(x, (x_adv - x) / (2 * perturbation_scale(object)) + 0.5, x_adv)
  panels <- picture_panels(object)[i + c(0, 1, 2) * nrow(object$table)]
  do.call(rbind, Map(function(picture, panel) {
    side <- dim(picture)[2:3]
    data.frame(
      panel = panel, row = rep(seq_len(side[1]), side[2]),
      column = rep(seq_len(side[2]), each = side[1]), colour = as_colours(picture)
    )
  }, pictures, panels))
}

# Grey for one channel, otherwise red, green and blue.
as_colours <- function(picture) {
  channel <- function(i) pmin(pmax(as.vector(picture[1, , , min(i, dim(picture)[4])]), 0), 1)
  grDevices::rgb(channel(1), channel(2), channel(3))
}

# The perturbation that is drawn white: the radius, if it bounds each pixel.
perturbation_scale <- function(object) {
  if (identical(object$attack$norm, "inf") && object$attack$eps > 0) {
    return(object$attack$eps)
  }
  max(abs(object$x_adv - object$x), 1e-12)
}

scale_words <- function(object) {
  scale <- perturbation_scale(object)
  size <- format_radius(if (identical(scale, object$attack$eps)) scale else signif(scale, 2))
  sprintf("from -%s (black) to %s (white)", size, size)
}

attack_results <- function(table) {
  ifelse(
    table$prediction != table$class, "misclassified",
    ifelse(table$attacked == table$class, "still correct", "fooled")
  )
}

# Headings, row by row. A prefix that is not shown makes each unique.
picture_panels <- function(object) {
  table <- object$table
  # In two lines where the pictures are small.
  between <- if (nrow(table) > 6) "\n" else " "
  sure <- function(class, p) sprintf("%s%s(%.0f %%)", class, between, 100 * p)
  seen <- sure(table$prediction, table$probability)
  wrong <- table$prediction != table$class
  seen[wrong] <- sprintf("%s\nis %s", seen[wrong], table$class[wrong])
  after <- paste(sure(table$attacked, table$attacked_probability), attack_results(table), sep = "\n")
  paste0(
    rep(c("image", "perturbation", "attacked"), each = nrow(table)), table$image, "|",
    c(seen, rep("", nrow(table)), after)
  )
}
